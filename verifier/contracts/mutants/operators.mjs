// Mutants of the contract's sources: which there are, each one as a change of text, and all of them in
// one text ("mutant schemata": a constant chooses the one that is alive). Knows no file and no compiler.

/// The word that chooses. In bytecode it is replaced by a mutant's number; as it stands, none is alive.
export const CHOICE = "6d7574616e74206f66206b6572726f73206973206e6f6e65206f662074686573";
const NAME = "MUTANT";

const RELATIONS = { "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
const SWAPS = { ...RELATIONS, "&&": "||", "||": "&&", "+": "-", "-": "+" };

/// Mutants of one source out of its AST. `text` is a Buffer: the AST counts bytes.
export function mutantsOf(file, text, ast, first) {
  const mutants = [];
  const edits = []; // { start, end, write(inner, number), numbers }
  const source = ([start, end]) => text.subarray(start, end).toString();
  const span = (node) => {
    const [start, length] = node.src.split(":").map(Number);
    return [start, start + length];
  };
  const line = (start) => text.subarray(0, start).toString().split("\n").length;
  // One mutant: what it does, its own change of text, and how it is chosen around the text it replaces.
  const add = (kind, [start, end], [from, to, plain], choose) => {
    const number = first + mutants.length;
    const shown = source([start, end]).replace(/\s+/g, " ");
    mutants.push({ number, file, line: line(start), kind, text: shown, from, to, plain });
    edits.push({ start, end, number, choose });
  };
  const alive = (number) => `${NAME} == ${number}`;

  const condition = (node, which) => {
    const at = span(node);
    const inside = source(at);
    if (which.includes(false)) {
      add("condition false", at, [...at, "false"], (inner, n) => `(!(${alive(n)}) && (${inner}))`);
    }
    if (which.includes(true)) {
      add("condition true", at, [...at, "true"], (inner, n) => `(${alive(n)} || (${inner}))`);
    }
    return inside;
  };
  const deleted = (kind, node, semicolon = true) => {
    const [start, end] = span(node);
    const at = [start, text[end] === 0x3b ? end + 1 : end];
    add(kind, at, [...at, semicolon ? "{}" : ""], (inner, n) => `if (!(${alive(n)})) { ${inner} }`);
  };
  const reverts = (node) => {
    const last = node?.nodeType === "Block" ? node.statements.at(-1) : node;
    return last?.nodeType === "RevertStatement";
  };

  const binary = (node) => {
    const other = SWAPS[node.operator];
    if (!other) return;
    const at = span(node);
    const [left, right] = [node.leftExpression, node.rightExpression];
    const [, leftEnd] = span(left);
    const [rightStart] = span(right);
    const between = source([leftEnd, rightStart]);
    const changed = source([at[0], leftEnd]) + between.replace(node.operator, other) + source([rightStart, at[1]]);
    const change = [leftEnd, rightStart, between.replace(node.operator, other)];
    if (!constant(node)) {
      add(`${node.operator} to ${other}`, at, change, (inner, n) => `(${alive(n)} ? (${changed}) : (${inner}))`);
    }
  };
  const constant = (node) => (node.typeDescriptions?.typeString ?? "").startsWith("int_const");
  // Arithmetic on literals has no type of its own: the whole of it is chosen, not a part.
  const literals = (node, whole = node) => {
    const other = SWAPS[node.operator];
    const [, leftEnd] = node.leftExpression ? span(node.leftExpression) : [];
    if (node.nodeType === "BinaryOperation" && other) {
      const [rightStart] = span(node.rightExpression);
      const [start, end] = span(whole);
      const between = source([leftEnd, rightStart]).replace(node.operator, other);
      const changed = source([start, leftEnd]) + between + source([rightStart, end]);
      // Below zero it is no constant of its type and does not compile.
      const negative = /^[\d\s()+*-]+$/.test(changed) && Number(Function(`return ${changed}`)()) < 0;
      if (!negative) add(`${node.operator} to ${other}`, [start, end], [leftEnd, rightStart, between],
        (inner, n) => `(${alive(n)} ? uint256(${changed}) : uint256(${inner}))`);
    }
    for (const child of [node.leftExpression, node.rightExpression, ...(node.components ?? [])]) {
      if (child) literals(child, whole);
    }
  };

  const assembly = (node) => {
    const at = span(node);
    const n = (number) => `eq(${NAME}, ${number})`;
    if (node.nodeType === "YulAssignment" || node.nodeType === "YulExpressionStatement") {
      add("statement deleted", at, [...at, "{}"], (inner, number) => `if iszero(${n(number)}) { ${inner} }`);
    } else if (node.nodeType === "YulIf") {
      const place = span(node.condition);
      add("condition false", place, [...place, "0"], (inner, number) => `and(iszero(${n(number)}), iszero(iszero(${inner})))`);
    } else if (node.nodeType === "YulFunctionCall") {
      const name = node.functionName.name;
      const [a, b] = node.arguments.map((argument) => source(span(argument)));
      const swap = (kind, plain, choose) => add(kind, at, [...at, plain], choose);
      const flip = (inner, number) => `xor(${inner}, ${n(number)})`;
      if (name === "eq") swap("eq negated", `iszero(eq(${a}, ${b}))`, flip);
      if (name === "iszero") swap("iszero negated", `iszero(iszero(${a}))`, flip);
      if (name === "gt") {
        swap("gt to ge", `iszero(lt(${a}, ${b}))`, (inner, number) => `or(${inner}, and(${n(number)}, eq(${a}, ${b})))`);
      }
      if (name === "and" || name === "or") {
        swap(`${name} swapped`, `${name === "and" ? "or" : "and"}(${a}, ${b})`,
          (inner, number) => `xor(${inner}, mul(${n(number)}, xor(${a}, ${b})))`);
      }
      if (name === "add" || name === "sub") {
        const other = name === "add" ? "sub" : "add";
        swap(`${name} to ${other}`, `${other}(${a}, ${b})`,
          (inner, number) => `${other}(${inner}, mul(${n(number)}, mul(2, ${b})))`);
      }
    }
  };

  const visit = (node, inside = {}) => {
    if (Array.isArray(node)) return node.forEach((child) => visit(child, inside));
    if (node === null || typeof node !== "object") return;
    const here = { ...inside };
    switch (node.nodeType) {
      case "InlineAssembly":
        return visit(node.AST, { ...inside, assembly: true });
      case "BinaryOperation":
        if (constant(node)) return literals(node);
        binary(node);
        break;
      case "IfStatement":
        condition(node.condition, reverts(node.trueBody) ? [false] : [false, true]);
        break;
      case "ForStatement":
        // Without its step a loop does not end: nothing to be found out.
        for (const part of [node.initializationExpression, node.condition, node.body]) visit(part, here);
        return;
      case "Conditional":
        condition(node.condition, [false, true]);
        break;
      case "ExpressionStatement":
        deleted("statement deleted", node);
        break;
      case "EmitStatement":
        deleted("emit deleted", node);
        break;
      case "FunctionDefinition":
        // The parts of a base's constructor are no checks.
        for (const use of node.modifiers.filter((use) => use.kind === "modifierInvocation")) {
          const at = span(use);
          add("modifier deleted", at, [...at, ""], (inner, n) => `${inner}(${n})`);
        }
        return visit([node.body], here);
      case "ModifierDefinition": {
        const [start] = span(node.parameters);
        const [, end] = span(node.parameters);
        edits.push({ start: start === end ? span(node.body)[0] : start, end: start === end ? span(node.body)[0] : end,
          choose: () => "(uint256 without) " });
        for (const statement of node.body.statements.filter((s) => s.nodeType !== "PlaceholderStatement")) {
          const [from, to] = span(statement);
          const semicolon = text[to] === 0x3b ? to + 1 : to;
          edits.push({ start: from, end: semicolon, choose: (inner) => `if (${NAME} != without) { ${inner} }` });
        }
        return visit(node.body, here);
      }
    }
    if (inside.assembly) assembly(node);
    for (const [key, child] of Object.entries(node)) {
      if (key !== "typeDescriptions" && child !== null && typeof child === "object") visit(child, here);
    }
  };
  visit(ast);
  return { mutants, schemata: write(text, edits) };
}

/// All edits at once, the outermost first; of two of the same place, the earlier one is the outer one.
function write(text, edits) {
  const order = edits.map((edit, place) => ({ ...edit, place }));
  order.sort((a, b) => a.start - b.start || b.end - a.end || a.place - b.place);
  let next = 0;
  const range = (from, to) => {
    let out = "";
    let at = from;
    while (next < order.length && order[next].start >= from && order[next].end <= to) {
      const edit = order[next];
      if (edit.start < at) break;
      next += 1;
      out += text.subarray(at, edit.start).toString();
      out += edit.choose(range(edit.start, edit.end), edit.number);
      at = edit.end;
    }
    return out + text.subarray(at, to).toString();
  };
  return range(0, text.length);
}

/// The file that declares the choice, and the line by which every source sees it.
export const DECLARATION = `pragma solidity 0.8.37;\nuint256 constant ${NAME} = 0x${CHOICE};\n`;
export const IMPORT = `import {${NAME}} from "./Mutant.sol";\n`;

/// A source with one mutant only.
export function alone(text, { from, to, plain }) {
  return text.subarray(0, from).toString() + plain + text.subarray(to).toString();
}
