// What the protocol of docs/protocol.md adds to LSP, and what follows from it without an editor.
// Knows nothing of VS Code, so positions are LSP's: zero-based lines, UTF-16 columns.

export interface Position { line: number; character: number }
export interface Range { start: Position; end: Position }

export type Outcome = 'verified' | 'partial' | 'runs' | 'unverified' | 'fails';

export interface Suggestion { id: string; text: string; range: Range; outcome: Outcome; summary: string }

export interface SuggestionsChanged {
  uri: string;
  version: number;
  position: Position;
  suggestions: Suggestion[];
  done: boolean;
}

export interface Status {
  state: 'starting' | 'ready' | 'busy' | 'error';
  message: string;
  sandbox: { tier: string; works: boolean; detail: string } | null;
  trusted: boolean | null;
}

/** A place in a document that completions are asked for. */
export interface Place { uri: string; version: number; position: Position }

/** The suggestion VS Code shows as ghost text, as far as an extension can know; `nReplaced`: columns right of the cursor that it takes the place of. */
export interface Shown extends Place, Omit<Suggestion, 'range'> { nReplaced: number }

export interface Change { range: Range; text: string }

/** What the status bar says when it is hovered: what goes on, what protects the machine, whose word it is. */
export function describeStatus({ message, sandbox, trusted }: Status): string {
  const parts = [message];
  if (sandbox) {
    parts.push(sandbox.works ? `Sandbox, tier ${sandbox.tier}: ${sandbox.detail}` : `No sandbox: ${sandbox.detail}`);
  }
  parts.push(trusted ? 'The tests here are run.' : 'The tests here are not run: the workspace is not trusted.');
  return parts.join('\n');
}

export function samePosition(a: Position, b: Position): boolean {
  return a.line === b.line && a.character === b.character;
}

/** Whether two (a message, what is shown, a request) are about the very same place. */
export function samePlace(a: Place, b: Place): boolean {
  return a.uri === b.uri && a.version === b.version && samePosition(a.position, b.position);
}

/** Of the suggestions for a place, the one the user put in the best one's place; the best where there is none of this id. */
export function chosenOf({ suggestions }: SuggestionsChanged, chosenId: string | undefined): Suggestion | undefined {
  return suggestions.find(({ id }) => id === chosenId) ?? suggestions[0];
}

/** The suggestion `step` places behind that of an id, else behind the best, in a circle. */
export function neighbourOf({ suggestions }: SuggestionsChanged, id: string | undefined, step: number): Suggestion | undefined {
  const index = Math.max(0, suggestions.findIndex((suggestion) => suggestion.id === id));
  return suggestions[(index + step + suggestions.length) % suggestions.length];
}

/**
 * Whether the ghost text should become what `message` says.
 *
 * A text that may still grow is left alone: VS Code replaces a shown suggestion without flicker
 * once only (REFRESH.md), and the server gives a summary as soon as a text is complete.
 */
export function wantsRefresh(message: SuggestionsChanged, shown: Shown, chosenId?: string): boolean {
  const wanted = chosenOf(message, chosenId);
  if (wanted === undefined) {
    return message.done;
  }
  const complete = message.done || wanted.summary !== '';
  return complete && (wanted.id !== shown.id || wanted.text !== shown.text);
}

/**
 * What the annotation of `shown` says: its summary, or how much longer it has become meanwhile; which
 * one of several it is, where the user chose another than the best.
 */
export function annotationOf(shown: Shown, latest: SuggestionsChanged | undefined, chosenId?: string): string {
  const known = latest && samePlace(latest, shown) ? latest.suggestions : [];
  const index = known.findIndex(({ id }) => id === shown.id);
  const nMoreLines = nLines(known[index]?.text ?? shown.text) - nLines(shown.text);
  const parts = [
    index > 0 && shown.id === chosenId ? `${index + 1}/${known.length}` : '',
    shown.summary || (nMoreLines > 0 ? `… ${nMoreLines} more` : ''),
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

/** What is left of `shown` after the user typed (or accepted) a part of it; undefined if nothing is, or if the change was another. */
export function typedThrough(shown: Shown, version: number, changes: readonly Change[]): Shown | undefined {
  const [change, ...others] = changes;
  if (change === undefined || others.length > 0) {
    return undefined;
  }
  const isInsertion = samePosition(change.range.start, shown.position) && samePosition(change.range.end, shown.position);
  if (!isInsertion || !shown.text.startsWith(change.text) || change.text === shown.text) {
    return undefined;
  }
  const lines = change.text.split('\n');
  const last = lines[lines.length - 1] ?? '';
  const position = lines.length === 1
    ? { line: shown.position.line, character: shown.position.character + last.length }
    : { line: shown.position.line + lines.length - 1, character: last.length };
  return { ...shown, version, position, text: shown.text.slice(change.text.length) };
}

function nLines(text: string): number {
  return text.split('\n').length;
}
