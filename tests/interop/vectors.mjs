// Prints, as JSON, what circomlibjs computes on inputs drawn from a seed: Poseidon of 1 to 16 inputs,
// Baby Jubjub multiples, public keys and EdDSA-Poseidon signatures.
// Usage: node vectors.mjs COUNT SEED
import { createHash } from "node:crypto";
import { buildBabyjub, buildEddsa, buildPoseidon } from "circomlibjs";

const [count, seed] = [Number(process.argv[2]), process.argv[3]];
const eddsa = await buildEddsa();
const babyjub = await buildBabyjub();
const poseidon = await buildPoseidon();
const F = babyjub.F;

let counter = 0;
const bytes = () => createHash("sha256").update(`${seed}/${counter++}`).digest();
const element = () => F.e(BigInt("0x" + bytes().toString("hex")));
const text = (x) => F.toObject(x).toString();
const hex = (x) => Buffer.from(x).toString("hex");

const out = { poseidon: [], points: [], signatures: [] };
for (let i = 0; i < count; i++) {
  const inputs = Array.from({ length: (i % 16) + 1 }, element);
  out.poseidon.push({ inputs: inputs.map(text), output: text(poseidon(inputs)) });

  const scalar = BigInt("0x" + bytes().toString("hex")) % babyjub.subOrder;
  const point = babyjub.mulPointEscalar(babyjub.Base8, scalar);
  out.points.push({
    scalar: scalar.toString(), x: text(point[0]), y: text(point[1]), packed: hex(babyjub.packPoint(point)),
  });

  if (i % 4) continue; // signing is slow, and each signature multiplies points too
  const secret = bytes();
  const message = element();
  const key = eddsa.prv2pub(secret);
  const signature = eddsa.signPoseidon(secret, message);
  if (!eddsa.verifyPoseidon(message, signature, key)) throw new Error("circomlibjs disagrees with itself");
  out.signatures.push({
    secret: hex(secret), message: text(message), x: text(key[0]), y: text(key[1]),
    signature: hex(eddsa.packSignature(signature)),
  });
}
process.stdout.write(JSON.stringify(out), () => process.exit(0));
