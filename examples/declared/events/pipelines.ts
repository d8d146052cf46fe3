// New events every five minutes, and what they come to per day once a night. pipelines.toml defines the same.
import { bigint, date, pipeline, postgres, table, text, timestamptz } from "flow";

const warehouse = postgres({ name: "warehouse", url: "${WAREHOUSE_DSN}" });

const events = table("flow_example_analytics.events", {
  event_id: bigint().primaryKey(),
  name: text().nullable(),
  received_at: timestamptz(),
});

const dailyRollups = table("flow_example_analytics.daily_rollups", {
  day: date().primaryKey(),
  n: bigint(),
});

const ingestEvents = pipeline("ingest_events", {
  target: events,
  targetConnection: warehouse,
  mode: "append",
  schedule: "*/5 * * * *",
  // The highest received_at that was loaded stands for $watermark.
  incrementalColumn: "received_at",
  source: `
    SELECT event_id, name, received_at
    FROM flow_example_raw.events
    WHERE received_at > $watermark
  `,
  // Five attempts, with 30, 60, 120 and 240 seconds between them.
  retry: { maxAttempts: 5, backoffSeconds: 30, backoffFactor: 2 },
});

pipeline("daily_rollups", {
  target: dailyRollups,
  targetConnection: warehouse,
  mode: "merge",
  schedule: "0 2 * * *",
  // Waits for today's success.
  dependsOn: [ingestEvents],
  source: `
    SELECT (received_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n
    FROM flow_example_analytics.events
    GROUP BY 1
  `,
});
