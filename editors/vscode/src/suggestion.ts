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

/** The suggestion VS Code shows as ghost text, as far as an extension can know. */
export interface Shown extends Place, Omit<Suggestion, 'range'> {}

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

/** Whether `message` is about this very place. */
export function isFor(message: SuggestionsChanged, place: Place): boolean {
  return message.uri === place.uri && message.version === place.version && samePosition(message.position, place.position);
}

/**
 * Whether the ghost text should become what `message` says.
 *
 * A text that may still grow is left alone: VS Code replaces a shown suggestion without flicker
 * once only (REFRESH.md), and the server gives a summary as soon as a text is complete.
 */
export function wantsRefresh(message: SuggestionsChanged, shown: Shown): boolean {
  const best = message.suggestions[0];
  if (best === undefined) {
    return message.done;
  }
  const complete = message.done || best.summary !== '';
  return complete && (best.id !== shown.id || best.text !== shown.text);
}

/** What the annotation of `shown` says: its summary, or how much longer it has become meanwhile. */
export function annotationOf(shown: Shown, latest: SuggestionsChanged | undefined): string {
  const grown = latest && isFor(latest, shown) ? latest.suggestions.find(({ id }) => id === shown.id) : undefined;
  const nMoreLines = grown ? nLines(grown.text) - nLines(shown.text) : 0;
  return shown.summary || (nMoreLines > 0 ? `… ${nMoreLines} more` : '');
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
