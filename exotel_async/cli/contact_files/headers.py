"""What a header says about its column: whether it holds phone numbers, and whose."""

from __future__ import annotations

import enum
import re
import unicodedata
from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(unicodedata.normalize("NFC", text).split())


_PHONE: Final = _set(
    "mobile mob mobiles mobil cell cellphone phone phones ph telephone tel msisdn whatsapp"
    " handphone smartphone landline telefon telefono celular mobileno mobilenumber mobno phoneno"
    " phno phonenumber contactno contactnumber cellno telno"
    " मोबाइल मोबाईल फोन फ़ोन दूरभाष भ्रमणध्वनी মোবাইল ফোন મોબાઇલ મોબાઈલ ફોન ਮੋਬਾਈਲ ਫੋਨ ਫ਼ੋਨ ମୋବାଇଲ ଫୋନ"
    " மொபைல் கைபேசி தொலைபேசி మొబైల్ ఫోన్ ಮೊಬೈಲ್ ಫೋನ್ മൊബൈൽ ഫോൺ موبائل فون"
)
_NUMBER: Final = _set(
    "no nos number numbers num nr nbr # नंबर नम्बर संख्या क्रमांक नं નંબર নম্বর எண் నంబర్ ನಂಬರ್ നമ്പർ ਨੰਬਰ نمبر"
)
_CONTACT: Final = _set("contact contacts calling dial संपर्क")
# Words that do not say whose number it is, or say that it is the person's own.
_PLAIN: Final = _set(
    "customer client user lead person member subscriber candidate student patient borrower"
    " applicant buyer caller guest employee cust primary main first 1 1st own personal"
    " registered reg regd the"
    " of your my e 164 s full digit digits 10 91 value ग्राहक"
)
_WITH_CODE: Final = _set("with country code")
_SECOND: Final = _set(
    "alternate alternative alternatives alt second secondary other additional another extra"
    " backup"
    " 2nd 3rd third वैकल्पिक अन्य"
)
_ANY_OTHER: Final = _set("other additional another extra backup अन्य")  # may also head remarks
_LATER: Final = _set("2 3 4 5")
_NUMBERED: Final = _set(
    "id ids uid uuid guid order invoice bill account acct acc bank ifsc pin pincode zip zipcode"
    " postal postcode aadhaar aadhar adhaar adhar uidai pan gst gstin amount amt price"
    " balance date dob time timestamp created updated age qty quantity serial sr sl sno srno"
    " slno row ref reference ticket policy loan card imei imsi ext extension"
    " count total score lat latitude long lng lon longitude"
    " roll vehicle registration booking awb tracking txn transaction utr otp code"
    " country isd dialling dialing"
)
_TEXTS: Final = _set(
    "model type status name brand sim fax operator circle carrier verified valid email mail address"
    " city state plan make os version agent exophone dnd dnc"
)
_OTHERWISE: Final = _NUMBERED | _TEXTS
_REMARKS: Final = _set(
    "remark remarks note notes comment comments reason reasons feedback detail details description"
    " टिप्पणी"
)


_DO_NOT_CALL: Final = _set("dnd dnc ndnc ncpr")
_COUNTRY: Final = _set("country isd dialling dialing")
_OF_A_COUNTRY: Final = _COUNTRY | _set(
    "code dial calling phone mobile name billing mailing shipping home of residence region"
)


class Kind(enum.Enum):
    """What a column holds by its header."""

    OTHER = enum.auto()
    """Something else: numbers in the column are not dialled."""
    TEXT = enum.auto()
    """In a do-not-call list: text, which may contain a number."""
    UNKNOWN = enum.auto()
    """The header does not say."""
    VAGUE = enum.auto()
    """Numbers, perhaps phone numbers."""
    SECOND = enum.auto()
    """Alternative phone numbers, to be tried after the others."""
    OTHER_PHONE = enum.auto()
    """Phone numbers of an office, of a relative, or of somebody else."""
    PHONE = enum.auto()
    """The person's phone numbers."""


TO_CONFIRM: Final = (Kind.VAGUE, Kind.UNKNOWN)
"""The kinds of columns whose cells show what they hold."""


def kind_of(header: str) -> Kind:
    """Return what a column holds by its header."""
    return _kind_of(_words(header))


def kind_in_number_list(header: str) -> Kind:
    """Return what a column of a do-not-call list holds by its header.

    `DND Mobile` is an ordinary header there, and it does not matter whose phones they are. A text
    beside a number may contain another number, unless the header says that it is an id, an amount,
    a date or the like.
    """
    words = _words(header)
    rest = words - _DO_NOT_CALL
    if words and not rest:
        return Kind.VAGUE
    kind = _kind_of(rest)
    if kind is Kind.VAGUE and rest != words:
        return Kind.PHONE
    if kind is Kind.OTHER:
        if _names_phone(rest):
            return Kind.UNKNOWN
        return Kind.TEXT if rest & (_TEXTS | _REMARKS) else kind
    return kind


def _kind_of(words: frozenset[str]) -> Kind:
    is_phone = _names_phone(words)
    if is_phone and words >= _WITH_CODE:
        words -= _WITH_CODE
    if words & _OTHERWISE:
        return Kind.OTHER
    more = words - _PHONE - _NUMBER - _CONTACT - _PLAIN
    if more & _SECOND and (is_phone or more <= _SECOND):
        return Kind.SECOND
    if is_phone:
        if more & _LATER:
            return Kind.SECOND
        return Kind.OTHER_PHONE if more or "landline" in words else Kind.PHONE
    if words & (_CONTACT | _NUMBER) and not more:
        return Kind.VAGUE
    return Kind.UNKNOWN


def names_phones(header: str) -> bool:
    """Return whether a header contains a word for a phone."""
    return _names_phone(_words(header))


def says_alternative(header: str) -> bool:
    """Return whether a header says that its column has alternatives, even if no cell shows one."""
    return kind_of(header) is Kind.SECOND and not _words(header) <= _ANY_OTHER


def _names_phone(words: frozenset[str]) -> bool:
    return bool(words & _PHONE) or bool(words & _CONTACT and words & _NUMBER)


def names_countries(header: str) -> bool:
    """Return whether a column names the countries of the numbers beside it."""
    words = _words(header)
    return bool(words & _COUNTRY) and words <= _OF_A_COUNTRY


def normal(header: str) -> str:
    """Return a header normalized for comparison, which ignores case and spacing."""
    return " ".join(unicodedata.normalize("NFC", header).casefold().split())


def _words(header: str) -> frozenset[str]:
    text = re.sub(r"(?i)what'?s\s*app", "whatsapp", header)
    text = re.sub(r"(?i)\ba\s*/\s*c\b", "account", text)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])", " ", text)  # CustomerPhone2
    # Letters of Indian scripts have combining marks, which are not word characters.
    kept = [char if char == "#" or unicodedata.category(char)[0] in "LMN" else " " for char in text]
    return _set("".join(kept).casefold())
