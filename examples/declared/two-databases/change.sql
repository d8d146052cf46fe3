UPDATE flow_example_customers
SET name = 'Grace Hopper', updated_at = '2026-01-06T08:00:00Z'
WHERE customer_id = 2;

INSERT INTO flow_example_customers VALUES (3, NULL, 'Edsger', '2026-01-06T08:30:00Z');

INSERT INTO flow_example_events VALUES (3, 'logout', '2026-01-06 08:00:00+00');
