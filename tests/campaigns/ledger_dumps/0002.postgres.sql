CREATE TABLE public.attempts (
    id text NOT NULL,
    contact_id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    number text NOT NULL,
    agent text,
    caller_id text NOT NULL,
    custom_field text,
    state text NOT NULL,
    dialer text NOT NULL,
    intended_at bigint NOT NULL,
    time_limit integer,
    lost_at bigint,
    certain_after bigint,
    sid text,
    status text,
    started_at bigint,
    ended_at bigint,
    duration_ms bigint,
    talk_ms bigint,
    price numeric,
    answered_by text,
    recording_url text,
    legs text,
    error text,
    http_status integer,
    candidates text
);
CREATE TABLE public.campaigns (
    id bigint NOT NULL,
    name text NOT NULL,
    settings text NOT NULL,
    state text NOT NULL,
    reason text,
    created_at bigint NOT NULL,
    started_at bigint,
    ended_at bigint,
    outcomes bigint NOT NULL
);
CREATE SEQUENCE public.campaigns_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.campaigns_id_seq OWNED BY public.campaigns.id;
CREATE TABLE public.contacts (
    id bigint NOT NULL,
    campaign_id bigint NOT NULL,
    key text NOT NULL,
    number text NOT NULL,
    identity text NOT NULL,
    fields text,
    custom_field text,
    priority smallint NOT NULL,
    zone text NOT NULL,
    not_before bigint,
    due_at bigint,
    alternatives text,
    agent text,
    caller_id text,
    state text NOT NULL,
    rank smallint NOT NULL,
    attempts integer NOT NULL,
    tries text,
    dialer text,
    lease_until bigint,
    reason text,
    ended_at bigint,
    outcome bigint
);
CREATE SEQUENCE public.contacts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.contacts_id_seq OWNED BY public.contacts.id;
CREATE TABLE public.counts (
    campaign_id bigint NOT NULL,
    name text NOT NULL,
    value bigint NOT NULL
);
CREATE TABLE public.dialers (
    id text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at bigint NOT NULL,
    lease_until bigint NOT NULL,
    longest_exchange bigint NOT NULL,
    left_at bigint
);
CREATE TABLE public.do_not_call (
    identity text NOT NULL,
    added_at bigint NOT NULL,
    reason text
);
CREATE TABLE public.ledger_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.lookups (
    identity text NOT NULL,
    dnd boolean NOT NULL,
    looked_up_at bigint NOT NULL
);
CREATE TABLE public.other_numbers (
    campaign_id bigint NOT NULL,
    identity text NOT NULL,
    contact_id bigint NOT NULL
);
ALTER TABLE ONLY public.campaigns ALTER COLUMN id SET DEFAULT nextval('public.campaigns_id_seq'::regclass);
ALTER TABLE ONLY public.contacts ALTER COLUMN id SET DEFAULT nextval('public.contacts_id_seq'::regclass);
INSERT INTO public.attempts VALUES ('0000000000000001', 1, 1, '09812300000', NULL, '08030000000', NULL, 'settled', '1ec2ed7fd4ec4daeafcf78be8733afad', 1772600000000, NULL, NULL, NULL, 'sid0000000000000001', 'completed', NULL, NULL, NULL, 1000, 1.5, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.campaigns VALUES (1, 'diwali', '{}', 'in-progress', NULL, 1772600000000, 1772600000000, NULL, 1);
INSERT INTO public.contacts VALUES (2, 1, 'customer 1', '09812300001', '9812300001', NULL, NULL, 0, '', NULL, NULL, NULL, NULL, NULL, 'ready', 1, 0, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.contacts VALUES (1, 1, 'customer 0', '09812300000', '9812300000', NULL, NULL, 0, '', NULL, 1772600000000, NULL, NULL, '08030000000', 'reached', 1, 1, NULL, NULL, NULL, NULL, 1772600000000, 1);
INSERT INTO public.counts VALUES (1, 'zone:', 2);
INSERT INTO public.counts VALUES (1, 'pending', 1);
INSERT INTO public.counts VALUES (1, 'attempts', 1);
INSERT INTO public.counts VALUES (1, 'in_progress', 0);
INSERT INTO public.counts VALUES (1, 'price', 1500000);
INSERT INTO public.counts VALUES (1, 'reached', 1);
INSERT INTO public.counts VALUES (1, 'status:completed', 1);
INSERT INTO public.counts VALUES (1, 'talk_ms', 1000);
INSERT INTO public.dialers VALUES ('1ec2ed7fd4ec4daeafcf78be8733afad', 'host',1, 1772600000000, 1772600015000, 60000, 1772600000000);
INSERT INTO public.ledger_version VALUES ('0002');
SELECT pg_catalog.setval('public.campaigns_id_seq', 1, true);
SELECT pg_catalog.setval('public.contacts_id_seq', 2, true);
ALTER TABLE ONLY public.ledger_version
    ADD CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT pk_attempts PRIMARY KEY (id);
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT pk_campaigns PRIMARY KEY (id);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT pk_contacts PRIMARY KEY (id);
ALTER TABLE ONLY public.counts
    ADD CONSTRAINT pk_counts PRIMARY KEY (campaign_id, name);
ALTER TABLE ONLY public.dialers
    ADD CONSTRAINT pk_dialers PRIMARY KEY (id);
ALTER TABLE ONLY public.do_not_call
    ADD CONSTRAINT pk_do_not_call PRIMARY KEY (identity);
ALTER TABLE ONLY public.lookups
    ADD CONSTRAINT pk_lookups PRIMARY KEY (identity);
ALTER TABLE ONLY public.other_numbers
    ADD CONSTRAINT pk_other_numbers PRIMARY KEY (campaign_id, identity);
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT uq_campaigns_name UNIQUE (name);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT uq_contacts_campaign_id_identity UNIQUE (campaign_id, identity);
ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT uq_contacts_campaign_id_key UNIQUE (campaign_id, key);
CREATE INDEX ix_attempts_contact_id ON public.attempts USING btree (contact_id);
CREATE INDEX ix_attempts_intended_at ON public.attempts USING btree (intended_at);
CREATE INDEX ix_attempts_open ON public.attempts USING btree (id) WHERE (state = ANY (ARRAY['intended'::text, 'in-doubt'::text, 'placed'::text, 'ended'::text]));
CREATE INDEX ix_attempts_sid ON public.attempts USING btree (sid) WHERE (sid IS NOT NULL);
CREATE INDEX ix_contacts_claimed ON public.contacts USING btree (campaign_id, dialer) WHERE (state = 'claimed'::text);
CREATE INDEX ix_contacts_ended ON public.contacts USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX ix_contacts_outcome ON public.contacts USING btree (campaign_id, outcome) WHERE (outcome IS NOT NULL);
CREATE INDEX ix_contacts_ready ON public.contacts USING btree (campaign_id, zone, rank, id) WHERE (state = 'ready'::text);
CREATE INDEX ix_contacts_waiting ON public.contacts USING btree (campaign_id, due_at) WHERE (state = 'waiting'::text);
CREATE INDEX ix_other_numbers_contact_id ON public.other_numbers USING btree (contact_id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT fk_attempts_campaign_id FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT fk_attempts_contact_id FOREIGN KEY (contact_id) REFERENCES public.contacts(id);
ALTER TABLE ONLY public.counts
    ADD CONSTRAINT fk_counts_campaign_id FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.other_numbers
    ADD CONSTRAINT fk_other_numbers_campaign_id FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.other_numbers
    ADD CONSTRAINT fk_other_numbers_contact_id FOREIGN KEY (contact_id) REFERENCES public.contacts(id);
