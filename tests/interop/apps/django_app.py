"""Django: a view that is async, and one that is not."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from exotel_async import AsyncExotel, ExotelError, InvalidRequest
from exotel_async.sync import Exotel
from tests.interop.apps import BUDGET

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="a secret of Django's")
django.setup()
exotel = Exotel(rate_limit=BUDGET)


def call(_: HttpRequest, customer: str) -> JsonResponse:
    try:
        placed = exotel.calls.connect("+919812300001", customer, caller_id="08030000000")
    except ExotelError as error:
        return refused(error)
    return JsonResponse({"sid": placed.sid})


async def call_async(_: HttpRequest, customer: str) -> JsonResponse:
    # One for each request, which still keeps to the budget of all.
    async with AsyncExotel(rate_limit=BUDGET) as session:
        try:
            placed = await session.calls.connect("+919812300001", customer, caller_id="08030000000")
        except ExotelError as error:
            return refused(error)
    return JsonResponse({"sid": placed.sid})


def refused(error: ExotelError) -> JsonResponse:
    status = 422 if isinstance(error, InvalidRequest) else 503
    return JsonResponse({"error": str(error)}, status=status)


urlpatterns = [
    path("call/<customer>", csrf_exempt(call)),
    path("async/call/<customer>", csrf_exempt(call_async)),
]
asgi = get_asgi_application()
wsgi = get_wsgi_application()
