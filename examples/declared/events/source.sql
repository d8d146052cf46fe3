-- Where the events come from. In real life somebody else writes this table.
CREATE SCHEMA flow_example_raw;

CREATE TABLE flow_example_raw.events (
  event_id bigint PRIMARY KEY,
  name text,
  received_at timestamptz NOT NULL
);

INSERT INTO flow_example_raw.events VALUES
  (1, 'login', '2026-01-05 09:30:00+00'),
  (2, NULL, '2026-01-05 23:59:59.999999+00'),
  (3, 'logout', '2026-01-06 00:00:00+00');
