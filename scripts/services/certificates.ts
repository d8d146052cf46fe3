/** A certificate authority of the moment and a server certificate for this machine, made with openssl. */
import { aptInstall } from "./packages.ts";
import { findProgram, run } from "./process.ts";
import { Unavailable } from "./service.ts";

/**
 * Writes into `directory`: `ca.pem`, what clients trust, and `server.pem`, the server's key (PKCS #8) followed by
 * its certificate and the authority's. The server is known as `localhost` and `127.0.0.1`. Valid for 30 days.
 */
export async function makeCertificates(
  directory: string,
  say: (line: string) => void,
): Promise<void> {
  if (await findProgram("openssl") === undefined) {
    const refusal = await aptInstall(["openssl"], say);
    if (refusal !== undefined) throw new Unavailable(`no openssl: ${refusal}`);
  }
  const file = (name: string) => `${directory}/${name}`;
  await Deno.writeTextFile(
    file("openssl.cnf"),
    "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=localhost\n" +
      "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n" +
      "[server]\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n" +
      "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n",
  );
  const config = ["-config", file("openssl.cnf")];
  const key = (name: string) => ["-newkey", "rsa:2048", "-nodes", "-keyout", file(name)];
  const ca = [
    "-subj",
    "/CN=flow test authority",
    "-extensions",
    "ca",
    "-days",
    "30",
    "-out",
    file("ca.pem"),
  ];
  await openssl("req", "-x509", ...config, ...key("ca.key"), ...ca);
  await openssl("req", "-new", ...config, ...key("server.key"), "-out", file("server.csr"));
  await openssl(
    ...["x509", "-req", "-in", file("server.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key")],
    ...["-CAcreateserial", "-days", "30", "-extfile", file("openssl.cnf"), "-extensions", "server"],
    ...["-out", file("server.crt")],
  );
  const parts = ["server.key", "server.crt", "ca.pem"].map((name) => Deno.readTextFile(file(name)));
  await Deno.writeTextFile(file("server.pem"), (await Promise.all(parts)).join(""));
}

async function openssl(...args: string[]): Promise<void> {
  const done = await run(["openssl", ...args]);
  if (!done.ok) throw new Error(`the test certificates could not be made: ${done.complaint}`);
}
