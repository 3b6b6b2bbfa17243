// What follows from the server's messages, without an editor: the pure part of the extension.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from './workbench.mjs';

const EXTENSION = path.join(ROOT, 'editors/vscode');
const { annotationOf, chosenOf, neighbourOf, typedThrough, wantsRefresh } = await compiled('src/suggestion.ts');

const HERE = { uri: 'file:///calc.py', version: 3, position: { line: 1, character: 4 } };
const ELSEWHERE = { ...HERE, version: 4 };
const B = { id: 'b', text: 'return a + b', outcome: 'partial', summary: '✗ 2/3' };
const A = { id: 'a', text: 'return a - b', outcome: 'fails', summary: '✗ 1/3' };
const C = { id: 'c', text: 'return b', outcome: 'fails', summary: '✗ 0/3 · add(0, 1) → 2' };
const GROWING = { id: 'a', text: 'total = a\n    return total', outcome: 'unverified', summary: '' };

describe('the suggestion to be shown', () => {
  for (const [suggestions, chosenId, id] of [
    [[B, A, C], undefined, 'b'],
    [[B, A, C], 'c', 'c'],
    [[B, A], 'c', 'b'],
    [[], 'c', undefined],
  ]) {
    test(`of ${ids(suggestions)}, ${chosenId} chosen: ${id}`, () => {
      assert.equal(chosenOf(told(suggestions), chosenId)?.id, id);
    });
  }
});

describe('its neighbour', () => {
  for (const [suggestions, from, step, id] of [
    [[B, A, C], undefined, 1, 'a'],
    [[B, A, C], undefined, -1, 'c'],
    [[B, A, C], 'a', 1, 'c'],
    [[B, A, C], 'c', 1, 'b'],
    [[B, A, C], 'a', -1, 'b'],
    [[B, A, C], 'gone', 1, 'a'],
    [[B], undefined, 1, 'b'],
    [[], undefined, 1, undefined],
  ]) {
    test(`of ${ids(suggestions)}, ${step} from ${from}: ${id}`, () => {
      assert.equal(neighbourOf(told(suggestions), from, step)?.id, id);
    });
  }
});

describe('the ghost text is replaced', () => {
  for (const [what, suggestions, shown, chosenId, wanted, done] of [
    ['by a better one', [B, A], A, undefined, true],
    ['not by itself', [B, A], B, undefined, false],
    ['not while another is chosen', [B, A], A, 'a', false],
    ['by the one that is chosen', [B, A], B, 'a', true],
    ['by the best where the chosen one is gone', [B, C], A, 'a', true],
    ['not by a text that may still grow', [GROWING], { ...GROWING, text: 'total = a' }, undefined, false],
    ['by the whole of a text', [GROWING], { ...GROWING, text: 'total = a' }, undefined, true, true],
    ['by nothing, at the end', [], A, undefined, true, true],
  ]) {
    test(what, () => {
      assert.equal(wantsRefresh(told(suggestions, { done: done ?? false }), at(HERE, shown), chosenId), wanted);
    });
  }
});

describe('the annotation says', () => {
  for (const [what, suggestions, shown, chosenId, annotation, place] of [
    ['the summary', [B, A], B, undefined, '✗ 2/3'],
    ['which one it is', [B, A, C], C, 'c', '3/3 · ✗ 0/3 · add(0, 1) → 2'],
    ['nothing of that for the best', [A, B], A, 'a', '✗ 1/3'],
    ['nor for one that is about to be replaced', [B, A], A, undefined, '✗ 1/3'],
    ['nor of another place', [B, A], A, 'a', '✗ 1/3', ELSEWHERE],
    ['how much longer it has become', [GROWING], { ...GROWING, text: 'total = a' }, undefined, '… 1 more'],
    ['nothing where nothing is known', [GROWING], GROWING, undefined, ''],
  ]) {
    test(what, () => {
      assert.equal(annotationOf(at(place ?? HERE, shown), told(suggestions), chosenId), annotation);
    });
  }
});

describe('typing', () => {
  for (const [what, text, left] of [
    ['goes through the text', 'return ', { character: 11, text: 'a - b' }],
    ['is another text', 'return b', undefined],
    ['is the whole text', 'return a - b', undefined],
  ]) {
    test(what, () => {
      const range = { start: HERE.position, end: HERE.position };
      const after = typedThrough(at(HERE, A), 4, [{ range, text }]);
      assert.deepEqual(after && { character: after.position.character, text: after.text }, left);
      assert.equal(after?.id, left && 'a');
    });
  }
});

function told(suggestions, { done = false } = {}) {
  const range = { start: HERE.position, end: HERE.position };
  return { ...HERE, suggestions: suggestions.map((one) => ({ ...one, range })), done };
}

function at(place, suggestion) {
  return { ...place, ...suggestion, nReplaced: 0 };
}

function ids(suggestions) {
  return JSON.stringify(suggestions.map(({ id }) => id));
}

/** A module of the extension, by the compiler that bundles it. */
async function compiled(source) {
  const { buildSync } = createRequire(path.join(EXTENSION, 'package.json'))('esbuild');
  const { outputFiles: [bundle] } = buildSync({ entryPoints: [path.join(EXTENSION, source)], bundle: true, format: 'esm', write: false });
  return import(`data:text/javascript;base64,${Buffer.from(bundle.contents).toString('base64')}`);
}
