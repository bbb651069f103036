BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE answers (
	answer_id VARCHAR NOT NULL, 
	campaign VARCHAR NOT NULL, 
	request_id VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_answers PRIMARY KEY (answer_id), 
	CONSTRAINT fk_answers_campaign FOREIGN KEY(campaign) REFERENCES campaigns (name), 
	CONSTRAINT fk_answers_request_id FOREIGN KEY(request_id) REFERENCES review_requests (request_id), 
	CONSTRAINT fk_answers_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
CREATE TABLE campaigns (
	name VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	fence INTEGER NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_campaigns PRIMARY KEY (name), 
	CONSTRAINT fk_campaigns_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
INSERT INTO "campaigns" VALUES('dots','running',1,3,'{"adapted":0,"fence":1,"forgiven":0,"name":"dots","reason":null,"snapshot":{"budget":4,"files":{"campaign":"[campaign]\nname = \"dots\"\nbench = \"bench.toml\"\nbudget = 4\n\n[[parameters]]\nname = \"x\"\nkind = \"continuous\"\nmin = 0\nmax = 1\n\n[[targets]]\nname = \"wavelength\"\ngoal = \"maximise\"\nunit = \"nm\"\nlow = 400\nhigh = 700\n\n[[targets]]\nname = \"quantum_yield\"\ngoal = \"maximise\"\nlow = 0\nhigh = 1\n"},"path":"/lab/campaign.toml","place":"cdse-flow","rate":1.0},"status":"running"}');
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	campaign VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	payload TEXT NOT NULL, 
	wall VARCHAR NOT NULL, 
	lab FLOAT NOT NULL, 
	"by" VARCHAR NOT NULL, 
	previous VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (seq)
);
INSERT INTO "events" VALUES(1,'campaign-created',1,'dots','dots','{"details":{},"documents":{"campaigns":[{"adapted":0,"fence":0,"forgiven":0,"name":"dots","reason":null,"snapshot":{"budget":4,"files":{"campaign":"[campaign]\nname = \"dots\"\nbench = \"bench.toml\"\nbudget = 4\n\n[[parameters]]\nname = \"x\"\nkind = \"continuous\"\nmin = 0\nmax = 1\n\n[[targets]]\nname = \"wavelength\"\ngoal = \"maximise\"\nunit = \"nm\"\nlow = 400\nhigh = 700\n\n[[targets]]\nname = \"quantum_yield\"\ngoal = \"maximise\"\nlow = 0\nhigh = 1\n"},"path":"/lab/campaign.toml","place":"cdse-flow","rate":1.0},"status":"draft"}]}}','2026-01-01T00:00:00+00:00',0.0,'command','0000000000000000000000000000000000000000000000000000000000000000','af90bb332494764c5817954a7abe1372902cea1ca1cfe7b623436ee789c8043f');
INSERT INTO "events" VALUES(2,'campaign-taken-up',1,'dots','dots','{"details":{"fence":1},"documents":{"campaigns":[{"adapted":0,"fence":1,"forgiven":0,"name":"dots","reason":null,"snapshot":{"sha256":"7a489f3f6f13f39be91ca76c16b4d6abde1c0e8e825907b4ccb9cff5d3357e90"},"status":"draft"}]}}','2026-01-01T00:00:00+00:00',0.0,'command','af90bb332494764c5817954a7abe1372902cea1ca1cfe7b623436ee789c8043f','ebfcc82b68d84017cc8caf89c68cf9bf92b619d2124d12856b7fd4bd555309b7');
INSERT INTO "events" VALUES(3,'running',1,'dots','dots','{"details":{},"documents":{"campaigns":[{"adapted":0,"fence":1,"forgiven":0,"name":"dots","reason":null,"snapshot":{"sha256":"7a489f3f6f13f39be91ca76c16b4d6abde1c0e8e825907b4ccb9cff5d3357e90"},"status":"running"}]}}','2026-01-01T00:00:00+00:00',0.0,'command','ebfcc82b68d84017cc8caf89c68cf9bf92b619d2124d12856b7fd4bd555309b7','35bec91c1b47deb2fbcee31362b882f2a852ef2f070a8cdbc37f0076fcae5561');
INSERT INTO "events" VALUES(4,'proposed',1,'dots','p1','{"details":{},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.125},"decided_by":null,"decided_lab":null,"number":1,"proposal_id":"p1","provenance":{"acquisition":null,"as_of":0,"batch":1,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"proposed","steps":[]}]}}','2026-01-01T00:00:01+00:00',1.0,'campaign','35bec91c1b47deb2fbcee31362b882f2a852ef2f070a8cdbc37f0076fcae5561','0cb6602919bf46e3b9c6e552aa1288ca2e665c696a387f66b573c7d1c827030b');
INSERT INTO "events" VALUES(5,'approved',1,'dots','p1','{"details":{"reason":null},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.125},"decided_by":"rule never","decided_lab":null,"number":1,"proposal_id":"p1","provenance":{"acquisition":null,"as_of":0,"batch":1,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}]}}','2026-01-01T00:00:01+00:00',1.0,'campaign','0cb6602919bf46e3b9c6e552aa1288ca2e665c696a387f66b573c7d1c827030b','aead0c2e697f8bc82f4ba6f8b9deaca498691a138f86d7d5c5350beba77601dd');
INSERT INTO "events" VALUES(6,'queued',1,'dots','r1','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":null,"ingested":false,"measured":{},"position":null,"proposal_id":"p1","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r1","run_key":"r1","started_lab":null,"status":"queued"}]}}','2026-01-01T00:00:01+00:00',1.0,'campaign','aead0c2e697f8bc82f4ba6f8b9deaca498691a138f86d7d5c5350beba77601dd','d0a24ea4202b593c6c036689cd33d838e482cba9196e82a4b20137d9f5e6868b');
INSERT INTO "events" VALUES(7,'dispatched',1,'dots','r1','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p1","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r1","run_key":"r1","started_lab":null,"status":"dispatched"}]}}','2026-01-01T00:00:01+00:00',1.0,'campaign','d0a24ea4202b593c6c036689cd33d838e482cba9196e82a4b20137d9f5e6868b','e4169c8c9508764f7f3cc72db54ac425bfe2017ed7b39fc2fba1ce9e4bd87041');
INSERT INTO "events" VALUES(8,'completed',1,'dots','r1','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p1","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r1","run_key":"r1","started_lab":0.0,"status":"completed"}]}}','2026-01-01T00:00:01+00:00',1.0,'campaign','e4169c8c9508764f7f3cc72db54ac425bfe2017ed7b39fc2fba1ce9e4bd87041','d04713192b75170f1a09e411c34453b4f3023ade75f426cb40a67f0e991017b4');
INSERT INTO "events" VALUES(9,'ingested',1,'dots','r1','{"details":{},"documents":{"measurements":[{"campaign":"dots","measurement_id":"m-r1-wavelength","raw_sha256":[],"reason":null,"reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r1","status":"accepted","target":"wavelength","uncertainty":0.5,"value":500.0},{"campaign":"dots","measurement_id":"m-r1-quantum_yield","raw_sha256":[],"reason":"Reference without a value","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r1","status":"quarantined","target":"quantum_yield","uncertainty":null,"value":0.0}],"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.125},"position":null,"proposal_id":"p1","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r1","run_key":"r1","started_lab":0.0,"status":"completed"}]},"readings":{"1":"7a3e2b1339a99bf47e541717ab0f389fdb97a70049d3d5029e37efd7dfa97dcc"}}','2026-01-01T00:00:01+00:00',1.0,'campaign','d04713192b75170f1a09e411c34453b4f3023ade75f426cb40a67f0e991017b4','458ca6e84053356ce88f3164ec908dcd2788d76763d3fbacd92b3892e370a09d');
INSERT INTO "events" VALUES(10,'proposed',1,'dots','p2','{"details":{},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.25},"decided_by":null,"decided_lab":null,"number":2,"proposal_id":"p2","provenance":{"acquisition":null,"as_of":0,"batch":2,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"proposed","steps":[]}]}}','2026-01-01T00:00:02+00:00',2.0,'campaign','458ca6e84053356ce88f3164ec908dcd2788d76763d3fbacd92b3892e370a09d','e517fbc8b805ee930c3b2257db3b1635f602a3e67c57c201a2ed42b7be987b7f');
INSERT INTO "events" VALUES(11,'approved',1,'dots','p2','{"details":{"reason":null},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.25},"decided_by":"rule never","decided_lab":null,"number":2,"proposal_id":"p2","provenance":{"acquisition":null,"as_of":0,"batch":2,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}]}}','2026-01-01T00:00:02+00:00',2.0,'campaign','e517fbc8b805ee930c3b2257db3b1635f602a3e67c57c201a2ed42b7be987b7f','6c42cc0017881871ed8b680361198030e1cec678c798f5b77adafb3a59ef70dc');
INSERT INTO "events" VALUES(12,'queued',1,'dots','r2','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":null,"ingested":false,"measured":{},"position":null,"proposal_id":"p2","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r2","run_key":"r2","started_lab":null,"status":"queued"}]}}','2026-01-01T00:00:02+00:00',2.0,'campaign','6c42cc0017881871ed8b680361198030e1cec678c798f5b77adafb3a59ef70dc','bf5ab522de3039b97e8ffea67293886d42813c3a0c7137006fda8acd6ebe6903');
INSERT INTO "events" VALUES(13,'dispatched',1,'dots','r2','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p2","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r2","run_key":"r2","started_lab":null,"status":"dispatched"}]}}','2026-01-01T00:00:02+00:00',2.0,'campaign','bf5ab522de3039b97e8ffea67293886d42813c3a0c7137006fda8acd6ebe6903','7df36c3578583f8a12d60bcab763f19142cce280fc4e40c2781b776d709a617b');
INSERT INTO "events" VALUES(14,'completed',1,'dots','r2','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p2","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r2","run_key":"r2","started_lab":0.0,"status":"completed"}]}}','2026-01-01T00:00:02+00:00',2.0,'campaign','7df36c3578583f8a12d60bcab763f19142cce280fc4e40c2781b776d709a617b','7f92eb65a81271c2d12f4a3d0cd89b093e6b8536f19ab8967edc1fdd9df1585b');
INSERT INTO "events" VALUES(15,'ingested',1,'dots','r2','{"details":{},"documents":{"measurements":[{"campaign":"dots","measurement_id":"m-r2-wavelength","raw_sha256":[],"reason":"no peak","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r2","status":"quarantined","target":"wavelength","uncertainty":null,"value":0.0},{"campaign":"dots","measurement_id":"m-r2-quantum_yield","raw_sha256":[],"reason":"no peak","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r2","status":"quarantined","target":"quantum_yield","uncertainty":null,"value":0.0}],"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.25},"position":null,"proposal_id":"p2","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r2","run_key":"r2","started_lab":0.0,"status":"completed"}]},"readings":{"1":"cf77b5297ef7a02dbcc36733f5225ffcbfc91bb3471353583a200091a9595967"}}','2026-01-01T00:00:02+00:00',2.0,'campaign','7f92eb65a81271c2d12f4a3d0cd89b093e6b8536f19ab8967edc1fdd9df1585b','fa96b937941aba92c1af71cb9c53a17ea5191f9b7003ac88ffa3f0c85db1c3a5');
INSERT INTO "events" VALUES(16,'proposed',1,'dots','p3','{"details":{},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.375},"decided_by":null,"decided_lab":null,"number":3,"proposal_id":"p3","provenance":{"acquisition":null,"as_of":0,"batch":3,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"proposed","steps":[]}]}}','2026-01-01T00:00:03+00:00',3.0,'campaign','fa96b937941aba92c1af71cb9c53a17ea5191f9b7003ac88ffa3f0c85db1c3a5','3069ea53d9bb22b8b1f277b3351b0ca7073074559bf4f85b17876b06ee11b761');
INSERT INTO "events" VALUES(17,'approved',1,'dots','p3','{"details":{"reason":null},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.375},"decided_by":"rule never","decided_lab":null,"number":3,"proposal_id":"p3","provenance":{"acquisition":null,"as_of":0,"batch":3,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}]}}','2026-01-01T00:00:03+00:00',3.0,'campaign','3069ea53d9bb22b8b1f277b3351b0ca7073074559bf4f85b17876b06ee11b761','7f5434f442a31f6e38d2001a112ebaa939c5c3e5f5ca9ad53eb81e3aecc581b8');
INSERT INTO "events" VALUES(18,'queued',1,'dots','r3','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":null,"ingested":false,"measured":{},"position":null,"proposal_id":"p3","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r3","run_key":"r3","started_lab":null,"status":"queued"}]}}','2026-01-01T00:00:03+00:00',3.0,'campaign','7f5434f442a31f6e38d2001a112ebaa939c5c3e5f5ca9ad53eb81e3aecc581b8','eef93247a957f270c3cd1bb2f7a1365282c1e047252a389c0dd0fe63eb261a51');
INSERT INTO "events" VALUES(19,'dispatched',1,'dots','r3','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p3","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r3","run_key":"r3","started_lab":null,"status":"dispatched"}]}}','2026-01-01T00:00:03+00:00',3.0,'campaign','eef93247a957f270c3cd1bb2f7a1365282c1e047252a389c0dd0fe63eb261a51','f92ac49a428864f33c1c45d7fc75acf89a554396fc2a0e81fec2c1ae00822905');
INSERT INTO "events" VALUES(20,'completed',1,'dots','r3','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p3","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r3","run_key":"r3","started_lab":0.0,"status":"completed"}]}}','2026-01-01T00:00:03+00:00',3.0,'campaign','f92ac49a428864f33c1c45d7fc75acf89a554396fc2a0e81fec2c1ae00822905','84d00329ffff1c3516bc32492b9981e991aaf75af896f8cb599f2e34dd34b2ab');
INSERT INTO "events" VALUES(21,'ingested',1,'dots','r3','{"details":{},"documents":{"measurements":[{"campaign":"dots","measurement_id":"m-r3-wavelength","raw_sha256":[],"reason":"not a single line: residual variance is 9.1 times the expected one","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r3","status":"quarantined","target":"wavelength","uncertainty":0.5,"value":512.0},{"campaign":"dots","measurement_id":"m-r3-quantum_yield","raw_sha256":[],"reason":"Reference is of uncertain quality","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r3","status":"quarantined","target":"quantum_yield","uncertainty":0.01,"value":0.0}],"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.375},"position":null,"proposal_id":"p3","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r3","run_key":"r3","started_lab":0.0,"status":"completed"}]},"readings":{"1":"7421b990ba80813a8f33ffce4b0c8c189aa42c066015fdef076c98b2954349c2"}}','2026-01-01T00:00:03+00:00',3.0,'campaign','84d00329ffff1c3516bc32492b9981e991aaf75af896f8cb599f2e34dd34b2ab','ea651ea14cf7c4ff2a647f8ed7bef58d2af8bae879bd30d51d3de80517c81169');
INSERT INTO "events" VALUES(22,'proposed',1,'dots','p4','{"details":{},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.5},"decided_by":null,"decided_lab":null,"number":4,"proposal_id":"p4","provenance":{"acquisition":null,"as_of":0,"batch":4,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"proposed","steps":[]}]}}','2026-01-01T00:00:04+00:00',4.0,'campaign','ea651ea14cf7c4ff2a647f8ed7bef58d2af8bae879bd30d51d3de80517c81169','58f73e103e8ad5d9488b8ce1976686e5a2323ca85821326e38d21ece5943e761');
INSERT INTO "events" VALUES(23,'approved',1,'dots','p4','{"details":{"reason":null},"documents":{"proposals":[{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.5},"decided_by":"rule never","decided_lab":null,"number":4,"proposal_id":"p4","provenance":{"acquisition":null,"as_of":0,"batch":4,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}]}}','2026-01-01T00:00:04+00:00',4.0,'campaign','58f73e103e8ad5d9488b8ce1976686e5a2323ca85821326e38d21ece5943e761','9e45c5de3d42296fbd0ccd1ef36767a93f9ed1330f2c2de6a3dccd9429d0ebfd');
INSERT INTO "events" VALUES(24,'queued',1,'dots','r4','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":null,"ingested":false,"measured":{},"position":null,"proposal_id":"p4","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r4","run_key":"r4","started_lab":null,"status":"queued"}]}}','2026-01-01T00:00:04+00:00',4.0,'campaign','9e45c5de3d42296fbd0ccd1ef36767a93f9ed1330f2c2de6a3dccd9429d0ebfd','bb5d31b3f54df9c6c8202e29736a83971390ff7203a448ccaf273a54ac46ff24');
INSERT INTO "events" VALUES(25,'dispatched',1,'dots','r4','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":null,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p4","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r4","run_key":"r4","started_lab":null,"status":"dispatched"}]}}','2026-01-01T00:00:04+00:00',4.0,'campaign','bb5d31b3f54df9c6c8202e29736a83971390ff7203a448ccaf273a54ac46ff24','b96ade08e3ff1846ed07645fc629d8c7d0372b2f91e97fb5f06e561c94e3c5e3');
INSERT INTO "events" VALUES(26,'completed',1,'dots','r4','{"details":{},"documents":{"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":false,"measured":{},"position":null,"proposal_id":"p4","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r4","run_key":"r4","started_lab":0.0,"status":"completed"}]}}','2026-01-01T00:00:04+00:00',4.0,'campaign','b96ade08e3ff1846ed07645fc629d8c7d0372b2f91e97fb5f06e561c94e3c5e3','15ecdcd90434aeb0bc013444f4cbc34fe135737afdd4e3cd69dc66378edcb017');
INSERT INTO "events" VALUES(27,'ingested',1,'dots','r4','{"details":{},"documents":{"measurements":[{"campaign":"dots","measurement_id":"m-r4-wavelength","raw_sha256":[],"reason":"box.wavelength is of uncertain quality","reduction":"recorded/1","replicate":1,"revision":1,"run_key":"r4","status":"quarantined","target":"wavelength","uncertainty":null,"value":0.0}],"runs":[{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.5},"position":null,"proposal_id":"p4","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r4","run_key":"r4","started_lab":0.0,"status":"completed"}]},"readings":{"1":"6d482cce2b575789983ecd82bf52d35d8de1819e69d027bc8bab917c71e78043"}}','2026-01-01T00:00:04+00:00',4.0,'campaign','15ecdcd90434aeb0bc013444f4cbc34fe135737afdd4e3cd69dc66378edcb017','07568095f0dc8879cfc8aefea885351d7fc4ef171347d4f1b923f25700a838d1');
INSERT INTO "events" VALUES(28,'retracted',1,'dots','r2','{"details":{},"documents":{"measurements":[{"campaign":"dots","measurement_id":"m-r2-wavelength","raw_sha256":[],"reason":"lamp was off","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r2","status":"retracted","target":"wavelength","uncertainty":null,"value":0.0}]}}','2026-01-01T00:00:06+00:00',6.0,'person Ada','07568095f0dc8879cfc8aefea885351d7fc4ef171347d4f1b923f25700a838d1','5e1d36c7847cc31ae9096a951b56ee2f8169261760f0c0fb5f6242e12b173c51');
INSERT INTO "events" VALUES(29,'corrected',1,'dots','r3','{"details":{},"documents":{"measurements":[{"campaign":"dots","measurement_id":"typed","raw_sha256":[],"reason":"Ada typed what she saw","reduction":"cdse-emission/1","replicate":1,"revision":2,"run_key":"r3","status":"quarantined","target":"wavelength","uncertainty":null,"value":0.0}]}}','2026-01-01T00:00:07+00:00',7.0,'person Ada','5e1d36c7847cc31ae9096a951b56ee2f8169261760f0c0fb5f6242e12b173c51','d6c32a8fad94f27a94ea8ff25d537d2e92e838b5bfc97e87d29b5d4064a3a4fa');
CREATE TABLE measurements (
	run_key VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	replicate INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	campaign VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	value FLOAT NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_measurements PRIMARY KEY (run_key, target, replicate, revision), 
	CONSTRAINT fk_measurements_run_key FOREIGN KEY(run_key) REFERENCES runs (run_key), 
	CONSTRAINT fk_measurements_campaign FOREIGN KEY(campaign) REFERENCES campaigns (name), 
	CONSTRAINT fk_measurements_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
INSERT INTO "measurements" VALUES('r1','wavelength',1,1,'dots','accepted',500.0,9,'{"campaign":"dots","measurement_id":"m-r1-wavelength","raw_sha256":[],"reason":null,"reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r1","status":"accepted","target":"wavelength","uncertainty":0.5,"value":500.0}');
INSERT INTO "measurements" VALUES('r1','quantum_yield',1,1,'dots','quarantined',0.0,9,'{"campaign":"dots","measurement_id":"m-r1-quantum_yield","raw_sha256":[],"reason":"Reference without a value","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r1","status":"quarantined","target":"quantum_yield","uncertainty":null,"value":0.0}');
INSERT INTO "measurements" VALUES('r2','wavelength',1,1,'dots','retracted',0.0,28,'{"campaign":"dots","measurement_id":"m-r2-wavelength","raw_sha256":[],"reason":"lamp was off","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r2","status":"retracted","target":"wavelength","uncertainty":null,"value":0.0}');
INSERT INTO "measurements" VALUES('r2','quantum_yield',1,1,'dots','quarantined',0.0,15,'{"campaign":"dots","measurement_id":"m-r2-quantum_yield","raw_sha256":[],"reason":"no peak","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r2","status":"quarantined","target":"quantum_yield","uncertainty":null,"value":0.0}');
INSERT INTO "measurements" VALUES('r3','wavelength',1,1,'dots','quarantined',512.0,21,'{"campaign":"dots","measurement_id":"m-r3-wavelength","raw_sha256":[],"reason":"not a single line: residual variance is 9.1 times the expected one","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r3","status":"quarantined","target":"wavelength","uncertainty":0.5,"value":512.0}');
INSERT INTO "measurements" VALUES('r3','quantum_yield',1,1,'dots','quarantined',0.0,21,'{"campaign":"dots","measurement_id":"m-r3-quantum_yield","raw_sha256":[],"reason":"Reference is of uncertain quality","reduction":"cdse-emission/1","replicate":1,"revision":1,"run_key":"r3","status":"quarantined","target":"quantum_yield","uncertainty":0.01,"value":0.0}');
INSERT INTO "measurements" VALUES('r4','wavelength',1,1,'dots','quarantined',0.0,27,'{"campaign":"dots","measurement_id":"m-r4-wavelength","raw_sha256":[],"reason":"box.wavelength is of uncertain quality","reduction":"recorded/1","replicate":1,"revision":1,"run_key":"r4","status":"quarantined","target":"wavelength","uncertainty":null,"value":0.0}');
INSERT INTO "measurements" VALUES('r3','wavelength',1,2,'dots','quarantined',0.0,29,'{"campaign":"dots","measurement_id":"typed","raw_sha256":[],"reason":"Ada typed what she saw","reduction":"cdse-emission/1","replicate":1,"revision":2,"run_key":"r3","status":"quarantined","target":"wavelength","uncertainty":null,"value":0.0}');
CREATE TABLE pages (
	sha256 VARCHAR NOT NULL, 
	campaign VARCHAR NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_pages PRIMARY KEY (sha256), 
	CONSTRAINT fk_pages_campaign FOREIGN KEY(campaign) REFERENCES campaigns (name), 
	CONSTRAINT fk_pages_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
CREATE TABLE people (
	name VARCHAR NOT NULL, 
	revoked BOOLEAN NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_people PRIMARY KEY (name), 
	CONSTRAINT fk_people_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
CREATE TABLE proposals (
	proposal_id VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	campaign VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_proposals PRIMARY KEY (proposal_id, revision), 
	CONSTRAINT fk_proposals_campaign FOREIGN KEY(campaign) REFERENCES campaigns (name), 
	CONSTRAINT fk_proposals_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
INSERT INTO "proposals" VALUES('p1',1,'dots',1,'approved',5,'{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.125},"decided_by":"rule never","decided_lab":null,"number":1,"proposal_id":"p1","provenance":{"acquisition":null,"as_of":0,"batch":1,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}');
INSERT INTO "proposals" VALUES('p2',1,'dots',2,'approved',11,'{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.25},"decided_by":"rule never","decided_lab":null,"number":2,"proposal_id":"p2","provenance":{"acquisition":null,"as_of":0,"batch":2,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}');
INSERT INTO "proposals" VALUES('p3',1,'dots',3,'approved',17,'{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.375},"decided_by":"rule never","decided_lab":null,"number":3,"proposal_id":"p3","provenance":{"acquisition":null,"as_of":0,"batch":3,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}');
INSERT INTO "proposals" VALUES('p4',1,'dots',4,'approved',23,'{"author":null,"binding":{},"campaign":"dots","configuration":{"x":0.5},"decided_by":"rule never","decided_lab":null,"number":4,"proposal_id":"p4","provenance":{"acquisition":null,"as_of":0,"batch":4,"count":1,"details":{},"device":"cpu","policy":"random/1","position":0,"predicted":{},"predicted_as_of":null,"seconds":0.0,"seed":1,"settings":{},"threads":1,"versions":{}},"reason":null,"replicates":1,"revision":1,"signatures":[],"status":"approved","steps":[]}');
CREATE TABLE raw_bytes (
	sha256 VARCHAR NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_raw_bytes PRIMARY KEY (sha256)
);
INSERT INTO "raw_bytes" VALUES('c2927207a1cc44acee0eb366589c75ec0fbf1f5d1a5779b580ff0608e348c330',X'7261772031');
INSERT INTO "raw_bytes" VALUES('9db0ce25ff462273ba4638ee0e6300bae7a468ce32e0ca042dd502e6dbd19631',X'7261772032');
INSERT INTO "raw_bytes" VALUES('6cbff0f985bfa1f18709f237d12f2c029a07c86f6caa16785c26e8cf23539926',X'7261772033');
INSERT INTO "raw_bytes" VALUES('7e040aa84e84f597b3bb82c757b70f09e85bdd805a2f8f75b80cd723c6ab81b8',X'7261772034');
CREATE TABLE raw_readings (
	run_key VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	sha256 VARCHAR, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_raw_readings PRIMARY KEY (run_key, seq), 
	CONSTRAINT fk_raw_readings_run_key FOREIGN KEY(run_key) REFERENCES runs (run_key), 
	CONSTRAINT fk_raw_readings_sha256 FOREIGN KEY(sha256) REFERENCES raw_bytes (sha256), 
	CONSTRAINT fk_raw_readings_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
INSERT INTO "raw_readings" VALUES('r1',1,'c2927207a1cc44acee0eb366589c75ec0fbf1f5d1a5779b580ff0608e348c330',9,'{"array":[1.0,2.0],"channel":"Sample","instrument":"spectrometer","lab":1.0,"quality":"good","sha256":"c2927207a1cc44acee0eb366589c75ec0fbf1f5d1a5779b580ff0608e348c330","step":0,"text":null,"unit":"counts","value":null,"wall":"2026-01-01T00:00:01+00:00"}');
INSERT INTO "raw_readings" VALUES('r2',1,'9db0ce25ff462273ba4638ee0e6300bae7a468ce32e0ca042dd502e6dbd19631',15,'{"array":[1.0,2.0],"channel":"Sample","instrument":"spectrometer","lab":2.0,"quality":"good","sha256":"9db0ce25ff462273ba4638ee0e6300bae7a468ce32e0ca042dd502e6dbd19631","step":0,"text":null,"unit":"counts","value":null,"wall":"2026-01-01T00:00:02+00:00"}');
INSERT INTO "raw_readings" VALUES('r3',1,'6cbff0f985bfa1f18709f237d12f2c029a07c86f6caa16785c26e8cf23539926',21,'{"array":[1.0,2.0],"channel":"Sample","instrument":"spectrometer","lab":3.0,"quality":"good","sha256":"6cbff0f985bfa1f18709f237d12f2c029a07c86f6caa16785c26e8cf23539926","step":0,"text":null,"unit":"counts","value":null,"wall":"2026-01-01T00:00:03+00:00"}');
INSERT INTO "raw_readings" VALUES('r4',1,'7e040aa84e84f597b3bb82c757b70f09e85bdd805a2f8f75b80cd723c6ab81b8',27,'{"array":[1.0,2.0],"channel":"Sample","instrument":"spectrometer","lab":4.0,"quality":"good","sha256":"7e040aa84e84f597b3bb82c757b70f09e85bdd805a2f8f75b80cd723c6ab81b8","step":0,"text":null,"unit":"counts","value":null,"wall":"2026-01-01T00:00:04+00:00"}');
CREATE TABLE restrictions (
	restriction_id VARCHAR NOT NULL, 
	campaign VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_restrictions PRIMARY KEY (restriction_id), 
	CONSTRAINT fk_restrictions_campaign FOREIGN KEY(campaign) REFERENCES campaigns (name), 
	CONSTRAINT fk_restrictions_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
CREATE TABLE review_requests (
	request_id VARCHAR NOT NULL, 
	campaign VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_review_requests PRIMARY KEY (request_id), 
	CONSTRAINT fk_review_requests_campaign FOREIGN KEY(campaign) REFERENCES campaigns (name), 
	CONSTRAINT fk_review_requests_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
CREATE TABLE runs (
	run_key VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	campaign VARCHAR NOT NULL, 
	proposal_id VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	replicate INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	ingested BOOLEAN NOT NULL, 
	event_seq INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (run_key), 
	CONSTRAINT uq_runs_run_id_attempt UNIQUE (run_id, attempt), 
	CONSTRAINT fk_runs_proposal_id_revision FOREIGN KEY(proposal_id, revision) REFERENCES proposals (proposal_id, revision), 
	CONSTRAINT fk_runs_campaign FOREIGN KEY(campaign) REFERENCES campaigns (name), 
	CONSTRAINT fk_runs_event_seq FOREIGN KEY(event_seq) REFERENCES events (seq)
);
INSERT INTO "runs" VALUES('r1','r1',1,'dots','p1',1,1,'completed',1,9,'{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.125},"position":null,"proposal_id":"p1","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r1","run_key":"r1","started_lab":0.0,"status":"completed"}');
INSERT INTO "runs" VALUES('r2','r2',1,'dots','p2',1,1,'completed',1,15,'{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.25},"position":null,"proposal_id":"p2","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r2","run_key":"r2","started_lab":0.0,"status":"completed"}');
INSERT INTO "runs" VALUES('r3','r3',1,'dots','p3',1,1,'completed',1,21,'{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.375},"position":null,"proposal_id":"p3","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r3","run_key":"r3","started_lab":0.0,"status":"completed"}');
INSERT INTO "runs" VALUES('r4','r4',1,'dots','p4',1,1,'completed',1,27,'{"attempt":1,"campaign":"dots","commanded":{},"ended_lab":1.0,"evidence":{},"fence":1,"ingested":true,"measured":{"x":0.5},"position":null,"proposal_id":"p4","queued_lab":null,"reason":null,"replicate":1,"revision":1,"run_id":"r4","run_key":"r4","started_lab":0.0,"status":"completed"}');
CREATE INDEX ix_events_campaign_seq ON events (campaign, seq);
CREATE INDEX ix_campaigns_event_seq ON campaigns (event_seq);
CREATE INDEX ix_proposals_campaign_event_seq ON proposals (campaign, event_seq);
CREATE INDEX ix_runs_campaign_event_seq ON runs (campaign, event_seq);
CREATE INDEX ix_measurements_campaign_event_seq ON measurements (campaign, event_seq);
CREATE INDEX ix_raw_readings_event_seq ON raw_readings (event_seq);
CREATE INDEX ix_review_requests_campaign_event_seq ON review_requests (campaign, event_seq);
CREATE INDEX ix_answers_campaign_event_seq ON answers (campaign, event_seq);
CREATE INDEX ix_pages_event_seq ON pages (event_seq);
CREATE INDEX ix_people_event_seq ON people (event_seq);
CREATE INDEX ix_restrictions_campaign_event_seq ON restrictions (campaign, event_seq);
COMMIT;
