-- For the database of RAW_DSN.
CREATE TABLE flow_example_customers (
  customer_id bigint PRIMARY KEY,
  email text,
  name text,
  updated_at text NOT NULL
);

INSERT INTO flow_example_customers VALUES
  (1, ' Ada@Example.COM ', 'Ada', '2026-01-05T09:30:00+01:00'),
  (2, 'grace@example.com', 'Grace', '2026-01-05 08:00:00');

CREATE TABLE flow_example_events (
  event_id bigint PRIMARY KEY,
  name text,
  received_at timestamptz NOT NULL
);

INSERT INTO flow_example_events VALUES
  (1, 'login', '2026-01-05 09:30:00+00'),
  (2, NULL, '2026-01-05 10:00:00.123456+00');
