import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { TEST_URL, type TestRig } from "./test_rig.ts";

/** A TCP relay in front of the database, to break connections in the midst of things. */
export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Sees what clients send; returns false to swallow it. */
  filter: (bytes: Uint8Array) => boolean = () => true;
  /** The client hears nothing more; the connection is cut when the server has answered. */
  deaf = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Relay> {
    const target = new URL(TEST_URL ?? "");
    const server = createServer();
    const relay = new Relay(server);
    server.on("connection", (client) => {
      const upstream = connectSocket(Number(target.port), target.hostname);
      relay.#sockets.add(client).add(upstream);
      client.on("data", (bytes: Uint8Array) => {
        if (relay.filter(bytes)) upstream.write(bytes);
      });
      upstream.on("data", (bytes) => {
        if (!relay.deaf) return client.write(bytes);
        relay.deaf = false;
        return relay.cut();
      });
      for (const socket of [client, upstream]) {
        socket.on("error", () => {});
        socket.on("close", () => (client.destroy(), upstream.destroy()));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  url(rig: TestRig): string {
    const url = new URL(rig.url());
    url.port = String((this.#server.address() as { port: number }).port);
    return url.href;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** True when the bytes have the text in them. */
export function contains(bytes: Uint8Array, text: string): boolean {
  return new TextDecoder("latin1").decode(bytes).includes(text);
}
