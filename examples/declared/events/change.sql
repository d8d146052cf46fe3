INSERT INTO flow_example_raw.events VALUES
  (4, 'login', '2026-01-06 08:00:00+00'),
  (5, 'purchase', '2026-01-07 10:15:00.5+00');
