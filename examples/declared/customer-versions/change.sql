-- Ada has another name, and Grace's address is only spelled otherwise.
UPDATE flow_example_raw.customers
SET name = 'Ada Lovelace', updated_at = to_char(now() AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
WHERE customer_id = 1;

UPDATE flow_example_raw.customers SET email = 'GRACE@example.com ' WHERE customer_id = 2;
