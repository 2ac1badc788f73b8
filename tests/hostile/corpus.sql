-- SQL that strangers send, one statement a line. A heading `-- [expect] subject` says how each line below it must end:
--   refused   403, or 400 where SQLite itself refuses      error     400 with errorDetail
--   timeout   504 (or an error before the deadline)        ends      any answer but an unexpected 5xx
-- Whatever the answer: it comes before the deadline + 700 ms, under 300 MB, and the database answers the next request.
-- The schema it runs against and what is too long for a line stand in run.py.
-- [refused] pragmas with a value
PRAGMA hard_heap_limit=1000
PRAGMA soft_heap_limit=1000
PRAGMA synchronous=OFF
PRAGMA journal_mode=MEMORY
PRAGMA locking_mode=EXCLUSIVE
PRAGMA max_page_count=4294967294
PRAGMA trusted_schema=ON
PRAGMA mmap_size=268435456
PRAGMA cache_size=-100000000
PRAGMA threads=8
PRAGMA temp_store_directory='/tmp'
PRAGMA temp_store=FILE
PRAGMA writable_schema=ON
PRAGMA secure_delete=OFF
PRAGMA auto_vacuum=FULL
PRAGMA wal_autocheckpoint=0
PRAGMA page_size=65536
PRAGMA foreign_keys=OFF
PRAGMA recursive_triggers=ON
PRAGMA query_only=OFF
PRAGMA case_sensitive_like=ON
PRAGMA legacy_alter_table=ON
PRAGMA cell_size_check=OFF
PRAGMA ignore_check_constraints=ON
PRAGMA busy_timeout=0
PRAGMA analysis_limit=1
PRAGMA encoding='UTF-16'
PRAGMA read_uncommitted=1
PRAGMA reverse_unordered_selects=1
PRAGMA automatic_index=OFF
PRAGMA data_store_directory='/tmp'
PRAGMA schema_version=9
PRAGMA cache_spill=OFF
PRAGMA fullfsync=1
PRAGMA checkpoint_fullfsync=1
PRAGMA journal_size_limit=0
PRAGMA legacy_file_format=1

-- [refused] pragmas called with parentheses
PRAGMA hard_heap_limit(1)
PRAGMA soft_heap_limit(1)
PRAGMA synchronous(1)
PRAGMA journal_mode(1)
PRAGMA locking_mode(1)
PRAGMA max_page_count(1)
PRAGMA trusted_schema(1)
PRAGMA mmap_size(1)
PRAGMA cache_size(1)
PRAGMA threads(1)
PRAGMA temp_store_directory(1)
PRAGMA temp_store(1)
PRAGMA writable_schema(1)
PRAGMA secure_delete(1)
PRAGMA auto_vacuum(1)
PRAGMA wal_autocheckpoint(1)
PRAGMA page_size(1)
PRAGMA foreign_keys(1)
PRAGMA recursive_triggers(1)
PRAGMA query_only(1)
PRAGMA case_sensitive_like(1)
PRAGMA legacy_alter_table(1)
PRAGMA cell_size_check(1)
PRAGMA ignore_check_constraints(1)
PRAGMA busy_timeout(1)
PRAGMA analysis_limit(1)
PRAGMA encoding(1)
PRAGMA read_uncommitted(1)
PRAGMA reverse_unordered_selects(1)
PRAGMA automatic_index(1)
PRAGMA data_store_directory(1)
PRAGMA schema_version(1)
PRAGMA cache_spill(1)
PRAGMA fullfsync(1)
PRAGMA checkpoint_fullfsync(1)
PRAGMA journal_size_limit(1)
PRAGMA legacy_file_format(1)

-- [refused] pragmas that act
PRAGMA wal_checkpoint
PRAGMA wal_checkpoint(TRUNCATE)
PRAGMA incremental_vacuum
PRAGMA incremental_vacuum(100)
PRAGMA optimize
PRAGMA shrink_memory
PRAGMA integrity_check
PRAGMA quick_check
PRAGMA rekey='x'
PRAGMA key='x'
PRAGMA lock_status
PRAGMA vdbe_trace=ON
PRAGMA parser_trace=ON
PRAGMA compile_options
PRAGMA function_list
PRAGMA module_list
PRAGMA database_list
PRAGMA pragma_list
PRAGMA stats

-- [refused] spellings of a pragma
pragma hard_heap_limit = 1000
PrAgMa HARD_HEAP_LIMIT=1000
PRAGMA main.hard_heap_limit=1000
PRAGMA "hard_heap_limit"=1000
PRAGMA [hard_heap_limit]=1000
PRAGMA `hard_heap_limit`=1000
PRAGMA 'hard_heap_limit'=1000
PRAGMA	main . synchronous	=	OFF
PRAGMA/**/synchronous/**/=/**/OFF
/* x */ PRAGMA synchronous=0 -- y
PRAGMA main."journal_mode"='memory'
PRAGMA "main"."journal_mode"=delete
PRAGMA temp.synchronous=OFF
PRAGMA main.writable_schema=RESET
PRAGMA journal_mode=WAL2
EXPLAIN PRAGMA journal_mode=OFF
  ;PRAGMA synchronous=OFF
PRAGMA mmap_size = 0x10000000
PRAGMA cache_size=-1e9
PRAGMA locking_mode='EXCLUSIVE'

-- [refused] table-valued pragmas
SELECT * FROM pragma_journal_mode
SELECT * FROM pragma_synchronous
SELECT * FROM pragma_database_list
SELECT * FROM pragma_compile_options
SELECT * FROM pragma_function_list
SELECT * FROM pragma_module_list
SELECT * FROM pragma_hard_heap_limit
SELECT * FROM pragma_locking_mode
SELECT * FROM pragma_mmap_size
SELECT * FROM pragma_cache_size
SELECT * FROM pragma_temp_store
SELECT * FROM pragma_writable_schema
SELECT * FROM pragma_trusted_schema
SELECT * FROM pragma_wal_checkpoint
SELECT * FROM pragma_integrity_check
SELECT * FROM pragma_quick_check
SELECT * FROM pragma_optimize
SELECT * FROM pragma_pragma_list

-- [refused] databases outside
ATTACH DATABASE '/etc/passwd' AS x
ATTACH '' AS x
ATTACH ':memory:' AS x
ATTACH 'file:main.db?mode=ro' AS y
attach database '../control.db' as control
ATTACH 'main.db' AS again
ATTACH DATABASE char(47,101) AS x
ATTACH (SELECT 'x') AS y
DETACH main
DETACH DATABASE temp
VACUUM
VACUUM main
VACUUM INTO '/tmp/x.db'
VACUUM INTO 'copy.db'
VACUUM main INTO 'x'
vacuum into char(47)

-- [refused] transactions
BEGIN
BEGIN IMMEDIATE
BEGIN EXCLUSIVE TRANSACTION
COMMIT
END
END TRANSACTION
ROLLBACK
ROLLBACK TO x
SAVEPOINT x
RELEASE x
RELEASE SAVEPOINT x
ROLLBACK TRANSACTION TO SAVEPOINT hf
SAVEPOINT "hf"
COMMIT TRANSACTION
begin deferred

-- [refused] temporary objects
CREATE TEMP TABLE t(a)
CREATE TEMPORARY TABLE t(a)
CREATE TABLE temp.t(a)
CREATE TEMP VIEW v AS SELECT 1
CREATE TEMP TRIGGER g AFTER INSERT ON target BEGIN SELECT 1; END
CREATE VIEW temp.v AS SELECT 1
CREATE TEMP TABLE t AS SELECT 1
CREATE TABLE IF NOT EXISTS temp.x(y)
CREATE INDEX temp.i ON target(id)

-- [refused] virtual tables
CREATE VIRTUAL TABLE v USING fts4(a)
CREATE VIRTUAL TABLE v USING fts3(a)
CREATE VIRTUAL TABLE v USING fts4(a, tokenize=e)
CREATE VIRTUAL TABLE v USING rtree(id,a,b)
CREATE VIRTUAL TABLE v USING rtree_i32(id,a,b)
CREATE VIRTUAL TABLE v USING geopoly(a)
CREATE VIRTUAL TABLE v USING dbstat
CREATE VIRTUAL TABLE v USING sqlite_stmt
CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')
CREATE VIRTUAL TABLE v USING json_each
CREATE VIRTUAL TABLE v USING generate_series
CREATE VIRTUAL TABLE v USING fts3tokenize(simple)
CREATE VIRTUAL TABLE v USING zipfile('x.zip')
CREATE VIRTUAL TABLE v USING carray
CREATE VIRTUAL TABLE v USING bytecode
CREATE VIRTUAL TABLE v USING tables_used
CREATE VIRTUAL TABLE v USING swarmvtab('x')
CREATE VIRTUAL TABLE v USING unionvtab('x')
CREATE VIRTUAL TABLE v USING spellfix1
CREATE VIRTUAL TABLE v USING sqlite_dbpage
CREATE VIRTUAL TABLE v USING pragma_journal_mode

-- [refused] tables of the machine
SELECT * FROM sqlite_dbpage
SELECT * FROM dbstat
SELECT * FROM sqlite_stmt
SELECT * FROM bytecode('SELECT 1')
SELECT * FROM tables_used('SELECT 1')
SELECT * FROM fsdir('/')
SELECT * FROM zipfile('x')
SELECT * FROM sqlite_temp_master
SELECT * FROM sqlite_temp_schema
SELECT * FROM completion('SEL')
SELECT * FROM generate_series(1,1000000000)
SELECT * FROM carray(1,1)
SELECT * FROM _sys_meta
SELECT * FROM _sys_applied
SELECT * FROM _sys_query_log
SELECT * FROM main._sys_applied
SELECT * FROM "_sys_applied"
SELECT * FROM [_SYS_APPLIED]
SELECT * FROM `_sys_applied`
SELECT * FROM _Sys_Applied AS a

-- [refused] functions that act on the machine
SELECT load_extension('x')
SELECT load_extension('x','y')
SELECT fts3_tokenizer('e', x'4141414141414141')
SELECT fts3_tokenizer('simple')
SELECT readfile('/etc/passwd')
SELECT writefile('/tmp/x','y')
SELECT edit('x')
SELECT sqlite_log(1,'x')
SELECT sqlite_compileoption_get(0)
SELECT sqlite_compileoption_used('X')
SELECT sqlite_offset(1)
SELECT sqlite_source_id()
SELECT matchinfo('x')
SELECT optimize('x')
SELECT rtreecheck('x')
SELECT rtreenode(2,x'00')
SELECT rtreedepth(x'00')
SELECT sha3_query('SELECT 1')
SELECT shell_add_schema('x')
SELECT lsmode(1)
SELECT eval('SELECT 1')
SELECT fts5(x'00')
SELECT fts5_source_id()
SELECT geopoly_debug(1)
SELECT sqlite_rename_table('main','table','target','x','y',0)
SELECT sqlite_rename_column('x','table','t','a','b',0,1,0)
SELECT sqlite_drop_column(0,'x',1)
SELECT sqlite_rename_quotefix('main','x')
SELECT sqlite_rename_test('main','x','table','y',0,'z',0)
SELECT sqlite_add_constraint('x','y',0)
SELECT fkey_collate_clause('a','b','c','d')
SELECT zeroblob(1,2)

-- [refused] the same behind a disguise
SELECT "load_extension"('x')
SELECT [readfile]('/etc/passwd')
SELECT load_extension /* x */ ('x')
WITH a AS (SELECT load_extension('x')) SELECT * FROM a
SELECT (SELECT fts3_tokenizer('simple'))
SELECT 1 WHERE sqlite_log(1,'x')
INSERT INTO target VALUES(900,sqlite_log(7,'x'))
UPDATE target SET body=readfile('/etc/passwd')
SELECT count(*) FILTER (WHERE sqlite_log(1,'y')) FROM target
VALUES(load_extension('x'))
SELECT * FROM target ORDER BY load_extension('x')
SELECT * FROM target GROUP BY load_extension('x')
SELECT max(load_extension('x')) OVER () FROM target
INSERT INTO target VALUES(901,'x') RETURNING load_extension('y')
CREATE INDEX evil ON target(load_extension(body))
CREATE TABLE evil(a CHECK(load_extension(a)))
CREATE TABLE evil(a DEFAULT(load_extension('x')))
CREATE TABLE evil(a, b AS (load_extension(a)))

-- [refused] reserved names
CREATE TABLE _sys_x(a)
CREATE TABLE _SYS_x(a)
CREATE TABLE "_sys_x"(a)
CREATE TABLE sqlite_x(a)
CREATE TABLE main._sys_x(a)
CREATE VIEW _sys_v AS SELECT 1
CREATE INDEX _sys_i ON target(id)
CREATE TRIGGER _sys_t AFTER INSERT ON target BEGIN SELECT 1; END
CREATE TABLE _persql_x(a)
ALTER TABLE target RENAME TO _sys_evil
ALTER TABLE target RENAME TO "_sys_evil"
ALTER TABLE target RENAME TO sqlite_evil
ALTER TABLE target RENAME TO _persql_evil
ALTER TABLE _sys_applied RENAME TO mine
ALTER TABLE _sys_meta ADD COLUMN x
DROP TABLE _sys_applied
DROP TABLE IF EXISTS _sys_meta
DROP TABLE sqlite_schema
DELETE FROM _sys_applied
UPDATE _sys_meta SET value=1
INSERT INTO _sys_applied DEFAULT VALUES
INSERT INTO sqlite_schema VALUES(1,2,3,4,5)
UPDATE sqlite_schema SET sql='x'
DELETE FROM sqlite_master
INSERT INTO sqlite_sequence VALUES('x',1)
CREATE INDEX i ON _sys_applied(at)
CREATE TRIGGER g AFTER INSERT ON _sys_applied BEGIN SELECT 1; END
WITH x AS (SELECT * FROM _sys_applied) SELECT * FROM x
SELECT (SELECT count(*) FROM _sys_applied)
INSERT INTO target SELECT 1,name FROM _sys_meta
DELETE FROM target WHERE id IN (SELECT rowid FROM _sys_applied)
CREATE TABLE x AS SELECT * FROM _sys_applied
INSERT INTO _persql_meta_query_log DEFAULT VALUES
DELETE FROM _persql_meta_query_log
DROP TABLE _persql_meta_query_log
REPLACE INTO _sys_meta VALUES(1,2)

-- [refused] shadow tables of full text
INSERT INTO notes_data VALUES(1,x'00')
UPDATE notes_config SET v=99
DELETE FROM notes_idx
DROP TABLE notes_docsize
ALTER TABLE notes_data RENAME TO x
CREATE TRIGGER g AFTER INSERT ON notes_content BEGIN SELECT 1; END

-- [error] syntax

   
-- only a comment
/* only */
;
;;;
SELECT
SELEC 1
SELECT * FROM
SELECT 1,
INSERT INTO
INSERT INTO target VALUES
UPDATE target
DELETE target
SELECT * FROM target WHERE
CREATE TABLE
CREATE TABLE (a)
DROP
ALTER TABLE target
SELECT '
SELECT "
SELECT 'unterminated
SELECT x'0
SELECT x'zz'
SELECT @
SELECT #1
SELECT !
SELECT 1 FROM target LIMIT
UPDATE target SET body='x' LIMIT 1
SELECT * FROM target JOIN
WITH x SELECT 1
VALUES
SELECT 1e
SELECT 0x
SELECT 1 2 3
(SELECT 1)
SELECT ((((1)
EXPLAIN
REINDEX nowhere_at_all

-- [error] more than one statement
SELECT 1; SELECT 2
SELECT 1;DROP TABLE target
INSERT INTO target VALUES(700,'a');COMMIT
SELECT 1;;SELECT 2
SELECT 1; ATTACH '/etc/passwd' AS x
DELETE FROM target WHERE 0; VACUUM

-- [error] names that are not there
SELECT * FROM nowhere
SELECT nothing FROM target
INSERT INTO nowhere VALUES(1)
UPDATE nowhere SET a=1
DELETE FROM nowhere
DROP TABLE nowhere
DROP INDEX nowhere
DROP VIEW nowhere
DROP TRIGGER nowhere
ALTER TABLE nowhere ADD a
SELECT nofunction(1)
SELECT * FROM target t JOIN nowhere n
SELECT target.nothing FROM target
INSERT INTO target(nothing) VALUES(1)
UPDATE target SET nothing=1
CREATE INDEX i ON nowhere(a)
CREATE INDEX i ON target(nothing)
SELECT * FROM other.target
SELECT * FROM target COLLATE nowhere
SELECT * FROM target INDEXED BY nowhere
SELECT * FROM json_each('[1]', '$', 3)
SELECT abs()
SELECT abs(1,2)
SELECT substr('x')
SELECT * FROM pragma_table_info('target','main',1)

-- [error] constraints
INSERT INTO target VALUES(1,'again')
INSERT INTO target(id,body) VALUES(2,'x'),(2,'y')
INSERT OR ROLLBACK INTO target VALUES(1,'x')
INSERT OR ABORT INTO target VALUES(1,'x')
INSERT OR FAIL INTO target VALUES(800,'a'),(1,'x')
UPDATE OR ROLLBACK target SET id=1
INSERT INTO strict_one VALUES('text')
INSERT INTO checked VALUES(-1)
INSERT INTO child VALUES(1,99999)
INSERT INTO notnull_one VALUES(NULL)
INSERT INTO rollbacker VALUES(1)
INSERT INTO target VALUES('text','x')
UPDATE target SET id='x' WHERE id=1

-- [timeout] time without end
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n
SELECT count(*) FROM big a, big b, big c, big d
SELECT sum(a.id*b.id*c.id) FROM big a, big b, big c
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT 1 FROM n WHERE i<0
SELECT count(*) FROM big a JOIN big b ON a.body LIKE b.body||'%' JOIN big c ON b.body LIKE c.body||'%'
WITH RECURSIVE x(a,b) AS (SELECT 1,1 UNION ALL SELECT a+1, length(hex(randomblob(1000))) FROM x) SELECT sum(b) FROM x
SELECT max(a.id+b.id+c.id) OVER () FROM big a, big b, big c LIMIT 1
SELECT count(DISTINCT a.id*b.id*c.id) FROM big a, big b, big c WHERE a.id<0 OR b.id>0
INSERT INTO target SELECT i+1000000, 'x' FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i%2>=0) SELECT i FROM n) WHERE i<0
UPDATE target SET body=(SELECT count(*) FROM big a, big b, big c, big d)
DELETE FROM target WHERE id=(SELECT count(*) FROM big a, big b, big c, big d)
SELECT json_group_array(a.id) FROM big a, big b, big c WHERE a.id+b.id+c.id<0
SELECT group_concat(a.id) FROM big a, big b, big c WHERE a.id*b.id*c.id<0
SELECT a.id FROM big a, big b, big c WHERE a.id*b.id=-c.id ORDER BY random()
WITH RECURSIVE f(a,b) AS (SELECT 0.1,0.2 UNION ALL SELECT b,a+b FROM f) SELECT count(*) FROM f

-- [ends] work inside one call
SELECT instr(printf('%.*c',900000,'a'),printf('%.*c',450000,'a')||'b')
SELECT length(printf('%.*c',2000000000,'x'))
SELECT length(printf('%2000000000d',1))
SELECT length(format('%.*c',1000000000,'y'))
SELECT length(replace(printf('%.*c',99999,'a'),'a',printf('%.*c',99999,'b')))
SELECT length(hex(zeroblob(500000000)))
SELECT length(randomblob(900000000))
SELECT length(zeroblob(2147483647))
SELECT length(group_concat(printf('%.*c',99999,'x'))) FROM big
SELECT length(json_group_array(printf('%.*c',99999,'x'))) FROM big
SELECT json_patch(printf('{%.*c}',90000,'"'),'{}')
SELECT json_valid(printf('%.*c',99999,'['))
SELECT json(printf('%.*c',1999,'[')||printf('%.*c',1999,']'))
SELECT json_extract(json_array(json_array(json_array(1))),'$[0][0][0][0]')
SELECT printf('%.*c',99999,'a') LIKE '%a%a%a%a%a%a%a%b'
SELECT printf('%.*c',99999,'a') GLOB '*a*a*a*a*a*a*a*b'
SELECT 'aaaa' LIKE printf('%.*c',60,'%')
SELECT replace(printf('%.*c',99999,'ab'),'ab','')
SELECT trim(printf('%.*c',99999,'a'),printf('%.*c',99999,'b'))
SELECT substr(printf('%.*c',99999,'a'),-9223372036854775808,9223372036854775807)
SELECT hex(randomblob(4000000))
SELECT length(quote(zeroblob(3000000)))
SELECT char(1,2,3,1114111,1114112,-1)
SELECT unicode(char(55296))
SELECT length(cast(zeroblob(1000000) AS TEXT))
SELECT instr(zeroblob(3000000),zeroblob(1500000)||x'01')
SELECT group_concat(a.body||b.body) FROM big a, big b
SELECT string_agg(body, printf('%.*c',99999,'-')) FROM big
SELECT json_group_object(id||'', printf('%.*c',99999,'x')) FROM big
SELECT length(concat_ws(printf('%.*c',99999,','),1,2,3,4,5,6,7,8,9))
SELECT unhex(hex(zeroblob(2000000)))
SELECT round(1e308*10, 30)
SELECT abs(-9223372036854775808)
SELECT 9223372036854775807+1
SELECT -9223372036854775808/-1
SELECT 1<<9223372036854775807
SELECT sum(9223372036854775807) FROM big
SELECT total(1e308) FROM big
SELECT strftime(printf('%.*c',9999,'%')||'Y')
SELECT datetime('now', printf('+%.*c days',99,'9'))
SELECT julianday(9e99)
SELECT date('9999-12-31','+1 year')
SELECT timediff('0000-01-01','9999-12-31')
SELECT printf('%s%n',1,2)
SELECT printf('%*.*f',99999,99999,1.5)
SELECT printf('%.99999f',1e308)
SELECT likelihood(1,2)
SELECT json_each.value FROM json_each('{"a":'||printf('%.*c',500,'[')||printf('%.*c',500,']')||'}')
SELECT count(*) FROM json_tree(printf('%.*c',900,'[')||printf('%.*c',900,']'))
SELECT soundex('x')
SELECT pow(10,400), exp(1000), ln(0), sqrt(-1), log(0), mod(1,0)

-- [ends] memory and sorting
SELECT a.body||b.body AS x FROM big a, big b ORDER BY x LIMIT 1
SELECT DISTINCT a.body||b.body FROM big a, big b LIMIT 100000
SELECT a.*, b.* FROM big a, big b
SELECT count(*) FROM (SELECT DISTINCT a.id, b.id, c.id FROM big a, big b, big c)
SELECT row_number() OVER (ORDER BY a.body||b.body) FROM big a, big b LIMIT 1
CREATE INDEX many ON big(body, body||'a', body||'b')
INSERT INTO big SELECT NULL, a.body||b.body FROM big a, big b
UPDATE big SET body=body||body||body||body||body||body||body||body
WITH RECURSIVE g(s) AS (SELECT 'x' UNION ALL SELECT s||s FROM g) SELECT length(s) FROM g
WITH RECURSIVE g(s) AS (SELECT zeroblob(1000000) UNION ALL SELECT s FROM g) SELECT count(*) FROM g WHERE s IS NULL
SELECT randomblob(3999999) FROM big
SELECT zeroblob(1000000) FROM big
SELECT printf('%.*c',90000,'x') FROM big a, big b
SELECT * FROM big UNION SELECT id+1, body FROM big UNION SELECT id+2, body FROM big ORDER BY 2
SELECT count(*) FROM big GROUP BY body||id HAVING count(*)>0
SELECT json_group_array(json_object('a',a.body,'b',b.body)) FROM big a, big b
INSERT INTO target SELECT id+5000, zeroblob(1000000) FROM big
SELECT group_concat(x) FROM (SELECT hex(zeroblob(100000)) AS x FROM big)
CREATE TABLE huge AS SELECT a.id, b.body FROM big a, big b
WITH a AS MATERIALIZED (SELECT x.body||y.body AS s FROM big x, big y) SELECT count(*) FROM a, a AS b

-- [ends] shapes of statements
SELECT 1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1
SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
SELECT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT 1
SELECT 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1
SELECT 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,73,74,75,76,77,78,79,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,96,97,98,99
SELECT 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,73,74,75,76,77,78,79,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,96,97,98,99,100
SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 
SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 UNION SELECT 1 
SELECT * FROM target JOIN target t USING(id) JOIN target t USING(id) 
SELECT CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN CASE WHEN 1 THEN 1 END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END END
SELECT 1 IN (0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,73,74,75,76,77,78,79,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,96,97,98,99,100,101,102,103,104,105,106,107,108,109,110,111,112,113,114,115,116,117,118,119,120,121,122,123,124,125,126,127,128,129,130,131,132,133,134,135,136,137,138,139,140,141,142,143,144,145,146,147,148,149,150,151,152,153,154,155,156,157,158,159,160,161,162,163,164,165,166,167,168,169,170,171,172,173,174,175,176,177,178,179,180,181,182,183,184,185,186,187,188,189,190,191,192,193,194,195,196,197,198,199,200,201,202,203,204,205,206,207,208,209,210,211,212,213,214,215,216,217,218,219,220,221,222,223,224,225,226,227,228,229,230,231,232,233,234,235,236,237,238,239,240,241,242,243,244,245,246,247,248,249,250,251,252,253,254,255,256,257,258,259,260,261,262,263,264,265,266,267,268,269,270,271,272,273,274,275,276,277,278,279,280,281,282,283,284,285,286,287,288,289,290,291,292,293,294,295,296,297,298,299)
SELECT max(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)
SELECT ?1001
SELECT ?0
SELECT ?99999999999
SELECT :a,@b,$c,?
SELECT $a::b(c)
VALUES(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1),(1)
SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM target))))))))))))))))))))))))))))))))))))))))
SELECT ''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''
SELECT 'a' COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE COLLATE NOCASE
SELECT 1 WHERE 1 IN (SELECT 1 WHERE 1 IN (SELECT 1 WHERE 1 IN (SELECT 1)))
SELECT EXISTS(SELECT 1 EXCEPT SELECT 1 INTERSECT SELECT 2)
SELECT x FROM (VALUES(1),(2)) AS v(x)
SELECT * FROM target NATURAL JOIN target NATURAL JOIN target
SELECT1
SELECT﻿1
﻿SELECT 1
SELECT 1
SELECT '‮⁦evil'
SELECT 1 AS "‮"
SELECT char(0)||'after'
CREATE TABLE "a""b;DROP TABLE target;--"(x)
CREATE TABLE "‮txt"(" ")
CREATE TABLE ''(a)
CREATE TABLE x("")
ANALYZE
REINDEX
EXPLAIN SELECT * FROM target
EXPLAIN QUERY PLAN DELETE FROM target

-- [ends] triggers and views that turn on the server
CREATE TRIGGER bad1 AFTER INSERT ON target BEGIN DELETE FROM _sys_applied; END
CREATE TRIGGER bad2 AFTER INSERT ON target BEGIN INSERT INTO _sys_meta VALUES('x',1); END
CREATE TRIGGER bad3 BEFORE DELETE ON target BEGIN SELECT RAISE(ROLLBACK,'gone'); END
CREATE TRIGGER bad4 AFTER UPDATE ON target BEGIN UPDATE target SET body=body||'x'; END
CREATE TRIGGER bad5 AFTER INSERT ON target BEGIN INSERT INTO target SELECT max(id)+1,'loop' FROM target; END
INSERT INTO target VALUES(950,'fires them')
UPDATE target SET body='fires' WHERE id=1
DELETE FROM target WHERE id=950
DROP TRIGGER IF EXISTS bad1
DROP TRIGGER IF EXISTS bad2
DROP TRIGGER IF EXISTS bad3
DROP TRIGGER IF EXISTS bad4
DROP TRIGGER IF EXISTS bad5
CREATE VIEW loop1 AS SELECT * FROM loop2
CREATE VIEW loop2 AS SELECT * FROM loop1
SELECT * FROM loop1
SELECT * FROM loop2
DROP VIEW IF EXISTS loop1
DROP VIEW IF EXISTS loop2
CREATE VIEW peek AS SELECT * FROM _sys_applied
SELECT * FROM peek
DROP VIEW IF EXISTS peek
CREATE TABLE self(a REFERENCES self(a) ON DELETE CASCADE)
DROP TABLE IF EXISTS self

-- [ends] harmless although it looks otherwise: sizes alone, an empty result, or refused when it is used
PRAGMA application_id=7
PRAGMA application_id(1)
PRAGMA collation_list
SELECT * FROM pragma_collation_list
CREATE VIRTUAL TABLE v USING fts5vocab(_sys_x, row)
CREATE VIEW evil AS SELECT load_extension('x')
ANALYZE _sys_applied
REINDEX _sys_applied
INSERT INTO notes(notes, rank) VALUES('rank','load_extension()')
SELECT 1 /* unterminated /* SELECT 2 FROM
SELECT 1; -- x  SELECT 2
SELECT 1 COLLATE nowhere
DELETE FROM target WHERE id=(SELECT raise_me FROM raiser)
DROP VIEW IF EXISTS v
CREATE VIEW v AS SELECT * FROM _sys_applied WHERE (SELECT 1 FROM _sys_applied)
SELECT * FROM evil
SELECT * FROM notes WHERE notes MATCH 'a' ORDER BY rank
INSERT INTO notes(notes, rank) VALUES('rank','bm25()')
DROP VIEW IF EXISTS evil
