"""Statements with the tables that each reaches without their tenant, by hand. Written before they were first run.

Declared are lead, note and page (tenant_id) and part (through its lead); company is the table of the tenants.
"""

from __future__ import annotations

from perfsuite.queries.tenant_guard.schema import Owned, Schema

SCHEMA = Schema(
    owned={
        **{name: Owned(name, "tenant_id", "tenant_id") for name in ("lead", "note", "page")},
        "part": Owned("part", "", "lead__tenant"),
    },
    tenants={"company": frozenset(["id", "slug"])},
)

# In order: held to one tenant, or to some that are named.
IN_ORDER = """
SELECT * FROM lead WHERE tenant_id = %s
SELECT * FROM lead WHERE %s = tenant_id
SELECT "lead"."id", "lead"."name" FROM "lead" WHERE ("lead"."tenant_id" = %s AND "lead"."id" = %s) LIMIT 21
SELECT * FROM `lead` WHERE `lead`.`tenant_id` = 5
SELECT * FROM "public"."lead" WHERE "public"."lead"."tenant_id" = 5
SELECT * FROM LEAD WHERE TENANT_ID = 5
SELECT * FROM lead /* all of them */ WHERE -- but
  tenant_id = 5
SELECT COUNT(*) FROM (SELECT "lead"."id" AS "col1" FROM "lead" WHERE "lead"."tenant_id" = 5 GROUP BY 1) subquery
SELECT * FROM lead WHERE tenant_id IN (1, 2)
SELECT * FROM lead WHERE tenant_id = ANY(%s)
SELECT * FROM lead WHERE tenant_id = ANY(ARRAY[1, 2]::int[])
SELECT * FROM lead WHERE tenant_id = '5f0c'::uuid
SELECT * FROM lead WHERE tenant_id::text = %s
SELECT * FROM lead WHERE tenant_id = CAST(%s AS uuid)
SELECT * FROM lead WHERE tenant_id = uuid '5f0c'
SELECT * FROM lead WHERE tenant_id = current_setting('app.tenant')::int
SELECT * FROM lead WHERE tenant_id = app.current_tenant()
SELECT * FROM lead WHERE (((tenant_id = 5)))
SELECT * FROM lead WHERE (tenant_id, id) IN ((1, 2), (3, 4))
SELECT * FROM lead WHERE (tenant_id, id) = (1, 2)
SELECT * FROM lead WHERE x BETWEEN 1 AND 2 AND tenant_id = 5
SELECT * FROM lead WHERE tenant_id = 5 AND x BETWEEN 1 AND 2 AND (y = 1 OR z = 2)
SELECT * FROM lead WHERE tenant_id = 5 AND name LIKE '%a or b%' ESCAPE '!'
SELECT * FROM lead WHERE (tenant_id = 5 AND x = 1) OR (tenant_id = 6 AND y = 2)
SELECT * FROM lead WHERE CASE WHEN x = 1 AND y = 2 THEN 1 ELSE 0 END = 1 AND tenant_id = 5
SELECT CASE WHEN x = 1 OR y = 2 THEN 1 END, EXTRACT(year FROM made) FROM lead WHERE tenant_id = 5
SELECT a IS DISTINCT FROM b FROM lead WHERE tenant_id = 5
SELECT DISTINCT ON (name) name, tenant_id FROM lead WHERE tenant_id = 5 ORDER BY name FOR UPDATE OF lead SKIP LOCKED
SELECT * FROM lead l JOIN page p ON l.page_id = p.id WHERE l.tenant_id = 5
SELECT * FROM lead l INNER JOIN page p ON (l.page_id = p.id AND l.tenant_id = 5)
SELECT * FROM lead l LEFT OUTER JOIN page p ON l.page_id = p.id WHERE l.tenant_id = 5
SELECT * FROM lead l LEFT JOIN note n ON n.lead_id = l.id WHERE l.tenant_id = 5
SELECT * FROM note n RIGHT JOIN lead l ON n.lead_id = l.id WHERE l.tenant_id = 5
SELECT * FROM lead l JOIN note n USING (tenant_id) WHERE l.tenant_id = 5
SELECT * FROM lead NATURAL JOIN note WHERE note.tenant_id = 5
SELECT * FROM lead l, note n WHERE n.lead_id = l.id AND l.tenant_id = 5
SELECT * FROM lead l JOIN (note n JOIN page p ON n.page_id = p.id) ON n.lead_id = l.id WHERE l.tenant_id = 5
SELECT * FROM lead JOIN tagging t ON t.lead_id = lead.id JOIN note ON note.id = t.note_id WHERE lead.tenant_id = 5
SELECT * FROM lead JOIN company c ON lead.tenant_id = c.id WHERE c.id = 5
SELECT * FROM lead JOIN company c ON lead.tenant_id = c.id WHERE c.slug = 'acme'
SELECT * FROM lead WHERE tenant_id = (SELECT id FROM company WHERE slug = 'acme')
SELECT * FROM lead WHERE tenant_id IN (SELECT U0.id FROM company U0 WHERE U0.slug = 'acme')
SELECT * FROM note WHERE lead_id IN (SELECT U0.id FROM lead U0 WHERE U0.tenant_id = 5)
SELECT * FROM lead WHERE EXISTS(SELECT 1 AS a FROM note U0 WHERE (U0.lead_id = lead.id AND U0.tenant_id = 5) LIMIT 1)
SELECT * FROM lead WHERE tenant_id = 5 AND NOT EXISTS(SELECT 1 FROM note n WHERE n.lead_id = lead.id)
SELECT * FROM lead WHERE tenant_id = 5 AND (x = 1 OR EXISTS(SELECT 1 FROM note n WHERE n.lead_id = lead.id))
SELECT *, (SELECT COUNT(*) FROM note n WHERE n.lead_id = lead.id) AS notes FROM lead WHERE tenant_id = 5
SELECT * FROM (SELECT * FROM lead) q WHERE q.tenant_id = 5
SELECT * FROM lead JOIN LATERAL (SELECT * FROM note WHERE note.lead_id = lead.id LIMIT 3) n ON true WHERE lead.tenant_id = 5
SELECT * FROM generate_series(1, 3) AS g(n) LEFT JOIN lead ON lead.number = g.n AND lead.tenant_id = 5
SELECT * FROM lead WHERE tenant_id = 5 UNION ALL SELECT * FROM lead WHERE tenant_id = 6
(SELECT id FROM lead WHERE tenant_id = 5) UNION (SELECT id FROM note WHERE tenant_id = 5) ORDER BY 1 LIMIT 3
SELECT * FROM (SELECT id, tenant_id FROM lead UNION SELECT id, tenant_id FROM note) q WHERE q.tenant_id = 5
WITH x AS (SELECT * FROM lead WHERE tenant_id = 5) SELECT * FROM x JOIN note ON note.lead_id = x.id
WITH x AS (SELECT * FROM lead) SELECT * FROM x WHERE tenant_id = 5
WITH x AS MATERIALIZED (SELECT id, tenant_id AS t FROM lead), y AS (SELECT * FROM x WHERE t = 5) SELECT * FROM y
WITH RECURSIVE t(id, tenant_id) AS (SELECT id, tenant_id FROM page WHERE tenant_id = 5
  UNION ALL SELECT p.id, p.tenant_id FROM page p JOIN t ON p.parent_id = t.id) SELECT * FROM t
SELECT part.* FROM part JOIN lead ON part.lead_id = lead.id WHERE lead.tenant_id = 5
UPDATE lead SET name = 'x', rank = rank + 1 WHERE lead.tenant_id = 5 AND lead.id = 1
UPDATE lead SET name = n.text FROM note n WHERE n.lead_id = lead.id AND n.tenant_id = 5
UPDATE lead l JOIN note n ON n.lead_id = l.id SET l.name = 'x' WHERE l.tenant_id = 5
UPDATE OR IGNORE lead SET x = 1 WHERE tenant_id = 5 RETURNING id
DELETE FROM lead WHERE lead.tenant_id = 5
DELETE FROM lead USING note WHERE lead.id = note.lead_id AND note.tenant_id = 5
DELETE FROM lead WHERE id IN (SELECT U0.id FROM lead U0 WHERE U0.tenant_id = 5)
INSERT INTO lead (name, tenant_id) VALUES ('select', 5), ('b', 6)
INSERT INTO lead (id, tenant_id) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id
INSERT INTO archive (id) SELECT id FROM lead WHERE tenant_id = 5 ON CONFLICT DO NOTHING
INSERT INTO archive SELECT * FROM other
WITH gone AS (DELETE FROM lead WHERE tenant_id = 5 RETURNING *) INSERT INTO archive SELECT * FROM gone
DECLARE "c" NO SCROLL CURSOR WITH HOLD FOR SELECT * FROM lead WHERE tenant_id = 5
SELECT * FROM leads_of_all WHERE x = 'lead'
SELECT lead FROM other
CREATE INDEX lead_name ON lead (name)
CREATE TABLE new_lead (id integer, tenant_id integer, twice integer GENERATED ALWAYS AS (id * 2))
CREATE TABLE part_of_lead PARTITION OF lead FOR VALUES WITH (MODULUS 4, REMAINDER 0)
CREATE TABLE copied AS SELECT * FROM lead WHERE tenant_id = 5
CREATE TEMPORARY TABLE IF NOT EXISTS copied WITH (fillfactor = 70) AS (SELECT * FROM lead WHERE tenant_id = 5)
CREATE VIEW all_leads AS SELECT * FROM lead
EXPLAIN SELECT * FROM lead
EXPLAIN (FORMAT JSON) DELETE FROM lead
EXPLAIN QUERY PLAN SELECT * FROM lead
EXPLAIN ANALYZE SELECT * FROM lead WHERE tenant_id = 5
EXPLAIN (ANALYZE, BUFFERS) UPDATE lead SET x = 1 WHERE tenant_id = 5
ANALYZE lead
ANALYZE TABLE lead
ANALYZE TABLE lead UPDATE HISTOGRAM ON tenant_id WITH 10 BUCKETS
ANALYZE update
DESCRIBE lead
DESC lead analyze
EXPLAIN (ANALYZE false, FORMAT JSON) SELECT * FROM lead
EXPLAIN (VERBOSE, ANALYZE off) DELETE FROM lead
EXPLAIN (ANALYZE true) (SELECT * FROM lead WHERE tenant_id = 5) UNION (SELECT * FROM lead WHERE tenant_id = 6)
CREATE TABLE copied AS SELECT * FROM lead WITH NO DATA
CREATE TABLE copied AS SELECT * FROM lead WHERE tenant_id = 5 WITH DATA
CREATE TABLE copied WITH x AS (SELECT * FROM lead) SELECT * FROM x WHERE tenant_id = 5
CREATE TABLE new_lead (id integer PRIMARY KEY, name text DEFAULT 'select', CHECK (id IN (1, 2)))
SAVEPOINT lead
VALUES (1, 2)
""".strip()

# The table, a colon, and the statement.
LEAKS = """
lead: SELECT * FROM lead
lead: SELECT * FROM lead WHERE id = %s
lead: CREATE TABLE copied AS SELECT * FROM lead
lead: CREATE TEMP TABLE copied WITH (fillfactor = 70) AS (SELECT * FROM lead)
lead: CREATE UNLOGGED TABLE copied (a, b) AS WITH some AS (SELECT * FROM lead) SELECT * FROM some
lead: CREATE TABLE copied SELECT id AS a FROM lead
lead: CREATE TABLE copied AS TABLE lead
lead: CREATE TABLE copied AS SELECT * FROM lead WITH DATA
lead: CREATE TABLE copied WITH x AS (SELECT 1) SELECT * FROM lead
lead: CREATE TABLE copied (SELECT * FROM lead)
lead: CREATE OR REPLACE TEMPORARY TABLE copied AS SELECT * FROM lead
lead: EXPLAIN (ANALYZE true) (SELECT * FROM lead WHERE a = 1) UNION (SELECT * FROM lead WHERE b = 2)
lead: EXPLAIN ANALYZE (SELECT * FROM lead)
lead: EXPLAIN ANALYZE TABLE lead
lead: EXPLAIN ANALYZE VALUES ((SELECT count(*) FROM lead))
lead: EXPLAIN ANALYZE CREATE TABLE x AS TABLE lead
lead: EXPLAIN (ANALYZE on) DECLARE c CURSOR FOR TABLE lead
lead: EXPLAIN ANALYZE SELECT * FROM lead
lead: EXPLAIN ANALYZE VERBOSE DELETE FROM lead
lead: EXPLAIN (ANALYZE, FORMAT JSON) UPDATE lead SET x = 1
lead: EXPLAIN ANALYZE FORMAT = TREE WITH some AS (SELECT * FROM lead) SELECT * FROM some
lead: ANALYZE FORMAT = JSON DELETE FROM lead
lead: DESC ANALYZE SELECT * FROM lead
lead: SELECT "lead"."id" FROM "lead" WHERE "lead"."id" IN (1, 2) LIMIT 21
lead: SELECT * FROM lead WHERE tenant_id = 5 OR x = 1
lead: SELECT * FROM lead WHERE tenant_id = 5 OR 1 = 1
lead: SELECT * FROM lead WHERE NOT tenant_id = 5
lead: SELECT * FROM lead WHERE NOT (tenant_id = 5 AND x = 1)
lead: SELECT * FROM lead WHERE tenant_id <> 5
lead: SELECT * FROM lead WHERE tenant_id NOT IN (5)
lead: SELECT * FROM lead WHERE tenant_id IS NOT NULL
lead: SELECT * FROM lead WHERE tenant_id IS NULL
lead: SELECT * FROM lead WHERE tenant_id > 5
lead: SELECT * FROM lead WHERE tenant_id LIKE '%'
lead: SELECT * FROM lead WHERE tenant_id = tenant_id
lead: SELECT * FROM lead WHERE tenant_id = other_id
lead: SELECT * FROM lead WHERE tenant_id = COALESCE(%s, tenant_id)
lead: SELECT * FROM lead WHERE tenant_id = %s XOR x = 1
lead: SELECT * FROM lead WHERE (tenant_id = 5) = (x = 1)
lead: SELECT * FROM lead WHERE name = 'tenant_id = 5'
lead: SELECT * FROM lead -- WHERE tenant_id = 5
lead: SELECT tenant_id = 5 FROM lead
lead: SELECT tenant_id, COUNT(*) FROM lead GROUP BY tenant_id HAVING COUNT(*) > 1
lead: SELECT * FROM lead ORDER BY tenant_id = 5
lead: SELECT * FROM lead a JOIN lead b ON a.status = b.status WHERE a.tenant_id = 5
lead: SELECT * FROM lead l LEFT JOIN note n ON n.lead_id = l.id AND n.tenant_id = 5
lead, note: SELECT * FROM lead l LEFT JOIN note n ON n.lead_id = l.id AND l.tenant_id = 5
note: SELECT * FROM note n RIGHT JOIN lead l ON n.tenant_id = l.tenant_id AND l.tenant_id = 5
  WHERE l.tenant_id = 5 AND n.x = (SELECT MAX(x) FROM note)
lead, note: SELECT * FROM lead l FULL JOIN note n ON n.lead_id = l.id AND l.tenant_id = 5
lead: SELECT * FROM lead a JOIN country c ON a.country_id = c.id JOIN lead b ON b.country_id = c.id WHERE a.tenant_id = 5
lead: SELECT * FROM lead, company WHERE company.id = 5
lead: SELECT * FROM lead JOIN company ON lead.former_tenant_id = company.id WHERE company.id = 5
lead: SELECT * FROM lead JOIN company c ON lead.tenant_id = c.id WHERE c.country = 'de'
lead: SELECT * FROM lead CROSS JOIN note WHERE note.tenant_id = 5
lead, note: SELECT * FROM lead WHERE id IN (SELECT lead_id FROM note)
lead: SELECT * FROM other WHERE lead_id IN (SELECT id FROM lead)
lead: SELECT * FROM lead WHERE EXISTS(SELECT 1 FROM company WHERE company.id = 5)
lead: SELECT * FROM lead WHERE x = 1 OR EXISTS(SELECT 1 FROM note n WHERE n.lead_id = lead.id AND n.tenant_id = 5)
lead: SELECT * FROM lead WHERE NOT EXISTS(SELECT 1 FROM note n WHERE n.lead_id = lead.id AND n.tenant_id = 5)
note: SELECT (SELECT MAX(id) FROM note) FROM lead WHERE tenant_id = 5
note: SELECT * FROM lead WHERE tenant_id = 5 AND EXISTS(SELECT 1 FROM note)
lead: SELECT * FROM (SELECT name FROM lead) q WHERE q.tenant_id = 5
lead: SELECT * FROM (SELECT id AS tenant_id FROM lead) q WHERE q.tenant_id = 5
lead: SELECT * FROM lead WHERE tenant_id = 5 UNION SELECT * FROM lead
lead: SELECT * FROM lead WHERE tenant_id = 5 EXCEPT SELECT * FROM lead
note: SELECT * FROM (SELECT id, tenant_id FROM lead UNION SELECT id, x FROM note) q WHERE q.tenant_id = 5
note: SELECT * FROM (SELECT id, x AS tenant_id FROM note UNION SELECT id, tenant_id FROM lead) q WHERE q.tenant_id = 5
lead: WITH x AS (SELECT * FROM lead) SELECT * FROM other
lead: WITH x AS (SELECT * FROM lead) SELECT * FROM x a JOIN x b ON a.status = b.status WHERE a.tenant_id = 5
lead: WITH gone AS (DELETE FROM lead RETURNING *) SELECT * FROM gone WHERE tenant_id = 5
page: WITH RECURSIVE t AS (SELECT * FROM page WHERE tenant_id = 5
  UNION ALL SELECT p.* FROM page p JOIN t ON p.kind = t.kind) SELECT * FROM t
part: SELECT * FROM part WHERE lead_id = %s
lead, part: SELECT * FROM part JOIN lead ON part.lead_id = lead.id
lead: UPDATE lead SET name = 'x'
lead: UPDATE lead SET tenant_id = 5 WHERE id = 1
lead: UPDATE lead SET name = (SELECT name FROM company WHERE company.id = 5) WHERE id = 1
note: UPDATE lead SET name = (SELECT MAX(text) FROM note) WHERE tenant_id = 5
lead: DELETE FROM lead
lead: DELETE FROM lead WHERE id IN (1, 2)
note: DELETE FROM lead WHERE tenant_id = 5 AND id IN (SELECT lead_id FROM note WHERE x = 1) AND y = (SELECT COUNT(*) FROM note)
lead: DELETE FROM "lead" WHERE "lead"."id" = %s
lead: INSERT INTO archive SELECT * FROM lead
lead: INSERT INTO archive (n) VALUES ((SELECT COUNT(*) FROM lead))
lead: TRUNCATE TABLE other, lead CASCADE
lead: DECLARE c CURSOR FOR SELECT * FROM lead
lead: SELECT 1; SELECT * FROM lead
lead: TABLE lead
lead: SELECT * FROM lead FOR UPDATE
lead: SELECT * FROM ONLY lead AS l (id, tenant_id) WHERE l.x = 5
""".strip()

NOT_UNDERSTOOD = """
EXPLAIN ANALYZE MERGE INTO lead USING note ON lead.id = note.id WHEN MATCHED THEN DELETE
MERGE INTO lead USING other ON lead.id = other.id WHEN MATCHED THEN DELETE
COPY lead TO STDOUT
CALL purge('lead')
SELECT * FROM lead WHERE (tenant_id = 5
SELECT * FROM lead WHERE tenant_id = 5)
SELECT * FROM (lead
UPDATE lead
DO $$ BEGIN DELETE FROM lead; END $$
WITH lead SELECT 1
gibberish lead
""".strip()


def statements(text: str) -> list[str]:
    """Return the statements of a table: one a line, but for lines that go on with two spaces."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("  "):
            lines[-1] += "\n" + line
        else:
            lines.append(line)
    return lines
