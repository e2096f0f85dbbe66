CREATE TABLE attempts (
	id TEXT NOT NULL, 
	contact_id INTEGER NOT NULL, 
	campaign_id INTEGER NOT NULL, 
	number TEXT NOT NULL, 
	agent TEXT, 
	caller_id TEXT NOT NULL, 
	custom_field TEXT, 
	state TEXT NOT NULL, 
	dialer TEXT NOT NULL, 
	intended_at BIGINT NOT NULL, 
	time_limit INTEGER, 
	lost_at BIGINT, 
	certain_after BIGINT, 
	sid TEXT, 
	status TEXT, 
	started_at BIGINT, 
	ended_at BIGINT, 
	duration_ms BIGINT, 
	talk_ms BIGINT, 
	price TEXT, 
	answered_by TEXT, 
	recording_url TEXT, 
	legs TEXT, 
	error TEXT, 
	http_status INTEGER, 
	candidates TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (id), 
	CONSTRAINT fk_attempts_contact_id FOREIGN KEY(contact_id) REFERENCES contacts (id), 
	CONSTRAINT fk_attempts_campaign_id FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
);
INSERT INTO "attempts" VALUES('0000000000000001',1,1,'09812300000',NULL,'08030000000',NULL,'settled','109aec8750ae4af2a8247f5fd5771602',1772600000000,NULL,NULL,NULL,'sid0000000000000001','completed',NULL,NULL,NULL,1000,'1.5',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE campaigns (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	settings TEXT NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	ended_at BIGINT, 
	outcomes BIGINT NOT NULL, 
	CONSTRAINT uq_campaigns_name UNIQUE (name)
);
INSERT INTO "campaigns" VALUES(1,'diwali','{}','in-progress',NULL,1772600000000,1772600000000,NULL,1);
CREATE TABLE contacts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	campaign_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	number TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	fields TEXT, 
	custom_field TEXT, 
	priority SMALLINT NOT NULL, 
	zone TEXT NOT NULL, 
	not_before BIGINT, 
	due_at BIGINT, 
	alternatives TEXT, 
	agent TEXT, 
	caller_id TEXT, 
	state TEXT NOT NULL, 
	rank SMALLINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	tries TEXT, 
	dialer TEXT, 
	lease_until BIGINT, 
	reason TEXT, 
	ended_at BIGINT, 
	outcome BIGINT, 
	CONSTRAINT uq_contacts_campaign_id_key UNIQUE (campaign_id, "key"), 
	CONSTRAINT uq_contacts_campaign_id_identity UNIQUE (campaign_id, identity)
);
INSERT INTO "contacts" VALUES(1,1,'customer 0','09812300000','9812300000',NULL,NULL,0,'',NULL,1772600000000,NULL,NULL,'08030000000','reached',1,1,NULL,NULL,NULL,NULL,1772600000000,1);
INSERT INTO "contacts" VALUES(2,1,'customer 1','09812300001','9812300001',NULL,NULL,0,'',NULL,NULL,NULL,NULL,NULL,'ready',1,0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE counts (
	campaign_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counts PRIMARY KEY (campaign_id, name), 
	CONSTRAINT fk_counts_campaign_id FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
);
INSERT INTO "counts" VALUES(1,'pending',1);
INSERT INTO "counts" VALUES(1,'zone:',2);
INSERT INTO "counts" VALUES(1,'in_progress',0);
INSERT INTO "counts" VALUES(1,'attempts',1);
INSERT INTO "counts" VALUES(1,'price',1500000);
INSERT INTO "counts" VALUES(1,'reached',1);
INSERT INTO "counts" VALUES(1,'status:completed',1);
INSERT INTO "counts" VALUES(1,'talk_ms',1000);
CREATE TABLE dialers (
	id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	started_at BIGINT NOT NULL, 
	lease_until BIGINT NOT NULL, 
	longest_exchange BIGINT NOT NULL, 
	left_at BIGINT, 
	CONSTRAINT pk_dialers PRIMARY KEY (id)
);
INSERT INTO "dialers" VALUES('109aec8750ae4af2a8247f5fd5771602','host',1,1772600000000,1772600015000,60000,1772600000000);
CREATE TABLE do_not_call (
	identity TEXT NOT NULL, 
	added_at BIGINT NOT NULL, 
	reason TEXT, 
	CONSTRAINT pk_do_not_call PRIMARY KEY (identity)
);
CREATE TABLE ledger_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ledger_version" VALUES('0002');
CREATE TABLE lookups (
	identity TEXT NOT NULL, 
	dnd BOOLEAN NOT NULL, 
	looked_up_at BIGINT NOT NULL, 
	CONSTRAINT pk_lookups PRIMARY KEY (identity)
);
CREATE TABLE other_numbers (
	campaign_id INTEGER NOT NULL, 
	identity TEXT NOT NULL, 
	contact_id INTEGER NOT NULL, 
	CONSTRAINT pk_other_numbers PRIMARY KEY (campaign_id, identity), 
	CONSTRAINT fk_other_numbers_campaign_id FOREIGN KEY(campaign_id) REFERENCES campaigns (id), 
	CONSTRAINT fk_other_numbers_contact_id FOREIGN KEY(contact_id) REFERENCES contacts (id)
);
CREATE INDEX ix_contacts_ready ON contacts (campaign_id, zone, rank, id) WHERE state = 'ready';
CREATE INDEX ix_contacts_waiting ON contacts (campaign_id, due_at) WHERE state = 'waiting';
CREATE INDEX ix_contacts_claimed ON contacts (campaign_id, dialer) WHERE state = 'claimed';
CREATE INDEX ix_contacts_ended ON contacts (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ix_contacts_outcome ON contacts (campaign_id, outcome) WHERE outcome IS NOT NULL;
CREATE INDEX ix_attempts_open ON attempts (id) WHERE state IN ('intended', 'in-doubt', 'placed', 'ended');
CREATE INDEX ix_attempts_sid ON attempts (sid) WHERE sid IS NOT NULL;
CREATE INDEX ix_attempts_contact_id ON attempts (contact_id);
CREATE INDEX ix_attempts_intended_at ON attempts (intended_at);
CREATE INDEX ix_other_numbers_contact_id ON other_numbers (contact_id);
