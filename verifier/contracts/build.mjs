// Compiles the contracts and writes artifacts/*.json (abi, bytecode, deployedBytecode), which are
// committed, so that Rust builds need no Node. `--check` compiles again and exits 1 on a difference.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const here = path.dirname(fileURLToPath(import.meta.url));
const artifacts = path.join(here, "artifacts");
const DEPLOYED_BYTES_MAX = 24576; // EIP-170
const INIT_BYTES_MAX = 49152; // EIP-3860, constructor arguments included

const sources = {};
for (const folder of ["", "test"]) {
  for (const name of fs.readdirSync(path.join(here, folder)).sort()) {
    if (!name.endsWith(".sol")) continue;
    const file = path.posix.join(folder, name);
    sources[file] = { content: fs.readFileSync(path.join(here, file), "utf8") };
  }
}

const output = JSON.parse(solc.compile(JSON.stringify({
  language: "Solidity",
  sources,
  settings: {
    evmVersion: "cancun",
    viaIR: true,
    optimizer: { enabled: true, runs: 2000 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
})));

let failed = false;
for (const problem of output.errors ?? []) {
  console.error(problem.formattedMessage);
  failed ||= problem.severity === "error";
}
if (failed) process.exit(1);

// The contract itself and everything the tests deploy.
const wanted = [["Kerros.sol", "Kerros"]];
for (const file of Object.keys(sources).filter((name) => name.startsWith("test/"))) {
  for (const [name, built] of Object.entries(output.contracts[file] ?? {})) {
    if (built.evm.bytecode.object.length > 0) wanted.push([file, name]);
  }
}

const check = process.argv.includes("--check");
fs.mkdirSync(artifacts, { recursive: true });
const expected = new Set();
for (const [file, name] of wanted) {
  const built = output.contracts[file][name];
  const deployed = built.evm.deployedBytecode.object.length / 2;
  const init = built.evm.bytecode.object.length / 2;
  if (deployed > DEPLOYED_BYTES_MAX || init > INIT_BYTES_MAX) {
    console.error(`${name}: ${deployed} bytes deployed, ${init} bytes of init code: too large`);
    process.exit(1);
  }
  const text = JSON.stringify({
    contractName: name,
    abi: built.abi,
    bytecode: "0x" + built.evm.bytecode.object,
    deployedBytecode: "0x" + built.evm.deployedBytecode.object,
  }, null, 1) + "\n";
  const target = path.join(artifacts, name + ".json");
  expected.add(name + ".json");
  const current = fs.existsSync(target) ? fs.readFileSync(target, "utf8") : "";
  if (check && current !== text) {
    console.error(`${name}: the committed artifact differs from what the sources compile to`);
    failed = true;
  } else if (!check) {
    fs.writeFileSync(target, text);
  }
  console.log(`${name}: ${deployed} bytes deployed, ${init} bytes of init code`);
}
for (const name of fs.readdirSync(artifacts)) {
  if (expected.has(name)) continue;
  console.error(`${name}: no source compiles to this artifact`);
  failed = true;
}
process.exit(failed ? 1 : 0);
