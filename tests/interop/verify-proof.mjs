// Verifies an exported Groth16 proof with snarkjs. Prints "true" or "false".
// Usage: node verify-proof.mjs DIR   (verification_key.json, public.json, proof.json)
import { readFileSync } from "node:fs";
import * as snarkjs from "snarkjs";

const read = (name) => JSON.parse(readFileSync(`${process.argv[2]}/${name}.json`, "utf8"));
const good = await snarkjs.groth16.verify(read("verification_key"), read("public"), read("proof"));
process.stdout.write(String(good), () => process.exit(0));
