/** The rows of the benchmark: JSON orders of 8 columns, about 150 bytes, the same for every run. */
import { type Admin, CompressionCodecs, CompressionTypes, Kafka, logLevel } from "kafkajs";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { quietRequestTimer } from "../../src/connectors/kafka/request_timer.ts";

const STATUSES = ["new", "paid", "packed", "shipped", "returned"];
const BATCH_ROWS = 4000;
export const PARTITIONS = 4;

/** One order; `id` counts from 0. */
export interface Order {
  readonly order_id: number;
  readonly customer_id: number;
  readonly sku: string;
  readonly quantity: number;
  readonly price: number;
  readonly status: string;
  readonly created_at: string;
  readonly note: string;
}

/** The order of that number: a fixed mix of its digits, no random source. */
export function order(id: number): Order {
  const mixed = Math.imul(id + 1, 2654435761) >>> 0;
  return {
    order_id: 1_000_000 + id,
    customer_id: mixed % 250_000,
    sku: `SKU-${String(mixed % 9973).padStart(5, "0")}`,
    quantity: 1 + mixed % 9,
    price: (mixed % 100_000) / 100,
    status: STATUSES[mixed % STATUSES.length] ?? "new",
    created_at: new Date(1_767_225_600_000 + id * 250).toISOString(),
    note: `order ${id} of run`,
  };
}

/** The columns as Postgres declares them; `key` adds the primary key. */
export function ordersTable(name: string, key: boolean): string {
  return `CREATE TABLE ${name} (order_id bigint NOT NULL${key ? " PRIMARY KEY" : ""}, ` +
    `customer_id bigint, sku text, quantity bigint, price double precision, status text, ` +
    `created_at timestamptz, note text)`;
}

/** The order as a line of Postgres' CSV. No value of an order needs quotes. */
export function csvLine(row: Order): string {
  return `${row.order_id},${row.customer_id},${row.sku},${row.quantity},${row.price},${row.status},${row.created_at},${row.note}\n`;
}

/** Makes a topic and produces `rows` orders into it, partition by order number. */
export async function produceOrders(
  brokers: string,
  topic: string,
  rows: number,
  compression: "none" | "zstd",
): Promise<void> {
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { buffer: Uint8Array }) =>
      Promise.resolve(zstdCompressSync(encoder.buffer)),
    decompress: (bytes: Uint8Array) => Promise.resolve(zstdDecompressSync(bytes)),
  });
  quietRequestTimer();
  const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await createTopic(admin, topic);
  await admin.disconnect();
  const producer = kafka.producer({ idempotent: false });
  await producer.connect();
  try {
    for (let from = 0; from < rows; from += BATCH_ROWS) {
      const messages = [];
      for (let id = from; id < Math.min(rows, from + BATCH_ROWS); id += 1) {
        messages.push({ value: JSON.stringify(order(id)), partition: id % PARTITIONS });
      }
      await producer.send({
        topic,
        messages,
        acks: 1,
        compression: compression === "zstd" ? CompressionTypes.ZSTD : CompressionTypes.None,
      });
    }
  } finally {
    await producer.disconnect();
  }
}

async function createTopic(admin: Admin, topic: string): Promise<void> {
  await admin.createTopics({
    topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1 }],
    waitForLeaders: true,
  });
}
