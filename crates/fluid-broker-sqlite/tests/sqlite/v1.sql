-- A file of schema version 1 with some of everything, as fluid wrote it.
BEGIN TRANSACTION;
CREATE TABLE tasks (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        disabled INTEGER NOT NULL DEFAULT 0
    ) STRICT;
INSERT INTO tasks VALUES(1,'resize',0);
INSERT INTO tasks VALUES(2,'mail',0);
INSERT INTO tasks VALUES(3,'report',0);
INSERT INTO tasks VALUES(4,'import',1);
CREATE TABLE queues (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        paused INTEGER NOT NULL DEFAULT 0
    ) STRICT;
INSERT INTO queues VALUES(1,'default',0);
INSERT INTO queues VALUES(2,'slow',1);
CREATE TABLE counts (
        state INTEGER NOT NULL,
        task INTEGER NOT NULL,
        queue INTEGER NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (state, task, queue)
    ) STRICT, WITHOUT ROWID;
INSERT INTO counts VALUES(0,3,1,1);
INSERT INTO counts VALUES(1,1,1,0);
INSERT INTO counts VALUES(1,2,1,3);
INSERT INTO counts VALUES(1,3,1,1);
INSERT INTO counts VALUES(3,1,1,1);
INSERT INTO counts VALUES(4,1,1,1);
CREATE TABLE runs (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        task INTEGER NOT NULL,
        queue INTEGER NOT NULL,
        state INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        interruptions INTEGER NOT NULL DEFAULT 0,
        max_interruptions INTEGER NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        survives INTEGER NOT NULL DEFAULT 0,
        trigger INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        started_at INTEGER,
        ended_at INTEGER,
        lease_until INTEGER,
        lease_token INTEGER,
        consumer TEXT,
        execution TEXT,
        waiting TEXT,
        progress REAL,
        progress_message TEXT,
        ckey TEXT NOT NULL,
        unique_key TEXT,
        parent BLOB,
        root BLOB,
        retry_of BLOB,
        params TEXT NOT NULL,
        secrets TEXT,
        result TEXT,
        error TEXT
    ) STRICT;
INSERT INTO runs VALUES(1,X'01a21158357471fdadfed0f9f606da95',1,1,4,1,2,1,0,3,0,0,0,1795587323252549,1795587323256184,1795587323260203,1795587323268186,NULL,NULL,'worker-1',NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,'{"file":"a.png","token":"s3cret"}','["/token"]','{"width":640}',NULL);
INSERT INTO runs VALUES(2,X'01a2115835887731910a5f9c02255888',1,1,3,1,1,0,0,3,0,0,0,1795587323272197,1795587323272197,1795587323276193,NULL,1795587353276193,282791848664688628,'worker-1',NULL,NULL,NULL,NULL,'',NULL,X'01a21158357471fdadfed0f9f606da95',X'01a21158357471fdadfed0f9f606da95',NULL,'{"file":"a.png","token":"s3cret"}','["/token"]',NULL,NULL);
INSERT INTO runs VALUES(3,X'01a21158359474cc8925eb96db7910d7',2,1,1,0,0,0,0,3,0,0,0,1795587323284218,1795587323284218,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'customer 1',NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL);
INSERT INTO runs VALUES(4,X'01a2115835957508b2ac82c165f96fb9',2,1,1,0,0,0,0,3,0,0,0,1795587323285541,1795587323285541,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'customer 1',NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL);
INSERT INTO runs VALUES(5,X'01a2115835967735acd50dc545c86332',2,1,1,0,0,0,0,3,0,0,0,1795587323286688,1795587323286688,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'customer 2',NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL);
INSERT INTO runs VALUES(6,X'01a211583598735da3080ef9bf4f7dd6',3,1,0,1,0,0,0,3,0,0,0,1795587323288317,4102444800000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'','yearly',NULL,NULL,NULL,'{}',NULL,NULL,NULL);
INSERT INTO runs VALUES(7,X'01a2115835a0738fa690656afd99133c',3,1,1,1,0,0,0,3,0,0,0,1795587323297078,1795587323297078,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL);
CREATE TABLE attempts (
        run INTEGER NOT NULL,
        number INTEGER NOT NULL,
        consumer TEXT NOT NULL,
        execution TEXT,
        started_at INTEGER NOT NULL,
        ended_at INTEGER NOT NULL,
        outcome INTEGER NOT NULL,
        error TEXT,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;
INSERT INTO attempts VALUES(1,1,'worker-1',NULL,1795587323254160,1795587323256184,2,'{"kind":"error","message":"no such file"}');
CREATE TABLE uniques (
        task INTEGER NOT NULL,
        key TEXT NOT NULL,
        run BLOB NOT NULL,
        frees_at INTEGER,
        finished INTEGER NOT NULL,
        PRIMARY KEY (task, key)
    ) STRICT, WITHOUT ROWID;
INSERT INTO uniques VALUES(3,'yearly',X'01a211583598735da3080ef9bf4f7dd6',NULL,0);
CREATE TABLE rates (
        task INTEGER NOT NULL,
        ckey TEXT NOT NULL,
        arrival INTEGER NOT NULL,
        PRIMARY KEY (task, ckey)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE ticks (
        task INTEGER NOT NULL,
        instant INTEGER NOT NULL,
        seen_at INTEGER,
        PRIMARY KEY (task, instant)
    ) STRICT, WITHOUT ROWID;
INSERT INTO ticks VALUES(3,1795586400000000,1795587323297078);
CREATE TABLE logs (
        run INTEGER NOT NULL,
        position INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        at INTEGER NOT NULL,
        stream INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (run, position)
    ) STRICT, WITHOUT ROWID;
INSERT INTO logs VALUES(1,1,2,1795587323260203,0,'10 % done');
CREATE TABLE log_heads (
        run INTEGER PRIMARY KEY,
        lines INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        cut INTEGER NOT NULL
    ) STRICT;
INSERT INTO log_heads VALUES(1,1,9,0);
CREATE TABLE consumers (
        id TEXT NOT NULL PRIMARY KEY,
        info TEXT NOT NULL,
        seen_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX runs_id ON runs (id);
CREATE INDEX runs_task ON runs (task, id);
CREATE INDEX runs_scheduled ON runs (due_at) WHERE state = 0;
CREATE INDEX runs_queued ON runs (queue, task, priority, due_at) WHERE state = 1 AND ckey = '';
CREATE INDEX runs_keyed ON runs (queue, task, priority, due_at) WHERE state = 1 AND ckey <> '';
CREATE INDEX runs_adoptable ON runs (queue, task, priority, due_at) WHERE state = 2;
CREATE INDEX runs_leased ON runs (lease_until) WHERE state = 3;
CREATE INDEX runs_busy ON runs (task, ckey) WHERE state >= 2 AND state <= 3 AND ckey <> '';
CREATE INDEX runs_finished ON runs (state, ended_at) WHERE state >= 4;
CREATE INDEX runs_parent ON runs (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX runs_root ON runs (root, id) WHERE root IS NOT NULL;
CREATE INDEX uniques_over ON uniques (frees_at) WHERE finished = 1;
CREATE INDEX rates_over ON rates (arrival);
CREATE INDEX ticks_old ON ticks (seen_at) WHERE seen_at IS NOT NULL;
COMMIT;
PRAGMA application_id=1179407689;
PRAGMA user_version=1;
