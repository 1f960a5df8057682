// Signs a Kerros transfer with circomlibjs alone and prints the canonical signed bytes as hex.
// Usage: node sign-transfer.mjs '{"secret":hex,"domain":dec,"from":n,"to":n,"amount":dec,"fee16":n,"nonce":n,
//        "payeeKey":dec,"payeeOwner":hex}'
import { buildBabyjub, buildEddsa, buildPoseidon } from "circomlibjs";

const t = JSON.parse(process.argv[2]);
const eddsa = await buildEddsa();
const babyjub = await buildBabyjub();
const poseidon = await buildPoseidon();
const F = babyjub.F;

const packed = 1n + (BigInt(t.from) << 4n) + (BigInt(t.to) << 32n) + (BigInt(t.amount) << 60n)
  + (BigInt(t.fee16) << 124n) + (BigInt(t.nonce) << 140n);
const message = poseidon([BigInt(t.domain), packed, BigInt(t.payeeKey), BigInt("0x" + t.payeeOwner)]);
const secret = Buffer.from(t.secret, "hex");
const key = eddsa.prv2pub(secret);
const signature = eddsa.signPoseidon(secret, message);

const be = (value, bytes) => Buffer.from(BigInt(value).toString(16).padStart(2 * bytes, "0"), "hex");
const signed = Buffer.concat([
  be(1, 1), be(t.from, 4), be(t.to, 4), be(t.amount, 8), be(t.fee16, 2), be(t.nonce, 4),
  be(t.payeeKey, 32), Buffer.from(t.payeeOwner, "hex"),
  Buffer.from(babyjub.packPoint(key)), Buffer.from(eddsa.packSignature(signature)),
]);
process.stdout.write(signed.toString("hex"), () => process.exit(0));
