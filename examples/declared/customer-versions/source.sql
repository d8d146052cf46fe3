-- Customers as an application keeps them: times as texts, addresses as they were typed in.
CREATE SCHEMA flow_example_raw;

CREATE TABLE flow_example_raw.customers (
  customer_id bigint PRIMARY KEY,
  email text,
  name text,
  updated_at text NOT NULL
);

INSERT INTO flow_example_raw.customers
SELECT customer_id, email, name, to_char(now() AT TIME ZONE 'UTC' - age, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM (VALUES
  (1, ' Ada@Example.COM ', 'Ada', interval '2 days'),
  (2, 'grace@example.com', 'Grace', interval '3 days'),
  (3, NULL, 'Edsger', interval '40 days')
) AS customers (customer_id, email, name, age);
