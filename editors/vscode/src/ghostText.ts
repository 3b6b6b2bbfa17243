// Keeps ghost text and its annotation at what the server last said.
// VS Code does not tell an extension what ghost text is visible: it is inferred from what VS Code
// was answered and from what the user did since. Ghost text of other extensions is not known here.

import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { Annotation } from './annotation';
import {
  type Outcome, type Place, type Shown, type Suggestion, type SuggestionsChanged,
  annotationOf, chosenOf, neighbourOf, samePlace, samePosition, typedThrough, wantsRefresh,
} from './suggestion';

/** The context key of the keys that show another suggestion: ours is on screen and there are others. */
const HAS_OTHERS = 'egcfg.hasOtherSuggestions';
const TRIGGER = 'editor.action.inlineSuggest.trigger';
const HIDE = 'editor.action.inlineSuggest.hide';

export class GhostText implements vscode.Disposable {
  private readonly annotation = new Annotation();
  private readonly listeners: vscode.Disposable[];
  private shown: Shown | undefined;
  private latest: SuggestionsChanged | undefined;
  /** The suggestion that the user put in the best one's place, until it is gone or the text goes another way. */
  private chosenId: string | undefined;
  private toldOthers = false;
  private refreshes: Promise<void> = Promise.resolve();
  private nAnswers = 0;

  constructor(private readonly logError: (message: string, error: unknown) => void) {
    this.listeners = [
      vscode.workspace.onDidChangeTextDocument((event) => this.documentChanged(event)),
      vscode.window.onDidChangeTextEditorSelection(() => this.shownEditor() ?? this.hidden()),
      vscode.window.onDidChangeActiveTextEditor(() => this.hidden()),
      vscode.window.onDidChangeWindowState(({ focused }) => focused || this.hidden()),
      vscode.commands.registerCommand('egcfg.dismiss', async () => {
        this.hidden();
        await vscode.commands.executeCommand(HIDE);
      }),
      vscode.commands.registerCommand('egcfg.nextSuggestion', () => this.choose(1)),
      vscode.commands.registerCommand('egcfg.previousSuggestion', () => this.choose(-1)),
    ];
  }

  /**
   * Answers VS Code from the last notification where that is for the same place, else from the server.
   *
   * With one item, as VS Code does not tell which of several it shows.
   */
  readonly middleware: Middleware = {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      this.nAnswers++;
      const here = { uri: document.uri.toString(), version: document.version, position };
      let items = this.itemsFor(here);
      if (items === undefined) {
        const answer = await next(document, position, context, token);
        if (token.isCancellationRequested) {
          return undefined;
        }
        items = this.itemsFor(here) ?? this.keeping(here, Array.isArray(answer) ? answer : answer?.items ?? []);
      }
      this.show(items[0] && shownAt(here, items[0]));
      return items;
    },
  };

  suggestionsChanged(message: SuggestionsChanged): void {
    this.latest = message;
    const said = message.suggestions.find(({ id }) => id === this.shown?.id);
    if (this.shown !== undefined && said !== undefined) {
      this.shown = { ...this.shown, outcome: said.outcome, summary: said.summary };
    }
    if (this.isForShown(message) && chosenOf(message, this.chosenId)?.id !== this.chosenId) {
      this.chosenId = undefined;
    }
    this.annotate();
    this.refreshSoon();
  }

  /** The id of the suggestion on screen. */
  shownId(): string | undefined {
    return this.shownEditor() && this.shown?.id;
  }

  /** What the server said is no longer so; the next request goes to the server. */
  forget(): void {
    this.latest = undefined;
    this.hidden();
  }

  dispose(): void {
    this.hidden();
    this.annotation.dispose();
    vscode.Disposable.from(...this.listeners).dispose();
  }

  private hidden(): void {
    this.show(undefined);
  }

  private show(shown: Shown | undefined): void {
    this.shown = shown;
    this.chosenId = shown && this.chosenId;
    this.annotate();
  }

  /** Has the suggestion `step` places behind the present one shown. */
  private choose(step: number): void {
    if (this.latest !== undefined && this.hasOthers()) {
      const wanted = neighbourOf(this.latest, this.chosenId, step);
      this.chosenId = wanted === this.latest.suggestions[0] ? undefined : wanted?.id;
      this.refreshSoon();
    }
  }

  private hasOthers(): boolean {
    return this.latest !== undefined && this.latest.suggestions.length > 1 && this.isForShown(this.latest);
  }

  /** Whether a message is about the place of the suggestion on screen. */
  private isForShown(message: SuggestionsChanged): boolean {
    return this.shown !== undefined && this.shownEditor() !== undefined && samePlace(message, this.shown);
  }

  private itemsFor(here: Place): vscode.InlineCompletionItem[] | undefined {
    if (this.latest === undefined || !samePlace(this.latest, here)) {
      return undefined;
    }
    const chosen = chosenOf(this.latest, this.chosenId);
    return chosen ? [itemOf(chosen)] : [];
  }

  /** The server's answer, which is the best suggestion; where the user types through a chosen one, that. */
  private keeping(here: Place, answer: vscode.InlineCompletionItem[]): vscode.InlineCompletionItem[] {
    const { shown } = this;
    if (answer.length === 0 || shown === undefined || shown.id !== this.chosenId || !samePlace(shown, here)) {
      return answer;
    }
    const { line, character } = shown.position;
    return [itemOf({ ...shown, range: { start: shown.position, end: { line, character: character + shown.nReplaced } } })];
  }

  private refreshSoon(): void {
    this.refreshes = this.refreshes
      .then(() => this.refresh())
      .catch((error: unknown) => this.logError('Refreshing the suggestion failed', error));
  }

  private async refresh(): Promise<void> {
    if (!this.isOutdated()) {
      return;
    }
    const nAnswers = this.nAnswers;
    await vscode.commands.executeCommand(TRIGGER);
    // VS Code asks once only for the same version and position, and says nothing when it does not.
    if (this.nAnswers === nAnswers && this.isOutdated()) {
      await vscode.commands.executeCommand('runCommands', { commands: [HIDE, TRIGGER] });
    }
  }

  private isOutdated(): boolean {
    const { shown, latest } = this;
    return shown !== undefined && latest !== undefined && this.isForShown(latest)
      && wantsRefresh(latest, shown, this.chosenId);
  }

  /** The active editor, if its only cursor is where the shown suggestion starts. */
  private shownEditor(): vscode.TextEditor | undefined {
    const editor = vscode.window.activeTextEditor;
    const isThere = editor !== undefined && this.shown !== undefined
      && editor.document.uri.toString() === this.shown.uri
      && editor.selections.length === 1 && editor.selection.isEmpty
      && samePosition(editor.selection.active, this.shown.position);
    return isThere ? editor : undefined;
  }

  private documentChanged({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    if (this.shown !== undefined && document.uri.toString() === this.shown.uri && contentChanges.length > 0) {
      this.shown = typedThrough(this.shown, document.version, contentChanges);
    }
    if (this.shown === undefined) {
      this.hidden();
    }
    this.tellOthers();
  }

  private annotate(): void {
    const { shown } = this;
    const editor = this.shownEditor();
    const text = shown && annotationOf(shown, this.latest, this.chosenId);
    if (shown && editor && text) {
      this.annotation.show(editor, shown.position.line, shown.outcome, text);
    } else {
      this.annotation.clear();
    }
    this.tellOthers();
  }

  private tellOthers(): void {
    const hasOthers = this.hasOthers();
    if (hasOthers !== this.toldOthers) {
      this.toldOthers = hasOthers;
      void vscode.commands.executeCommand('setContext', HAS_OTHERS, hasOthers);
    }
  }
}

function itemOf({ id, text, range: { start, end }, outcome, summary }: Suggestion): vscode.InlineCompletionItem {
  return new vscode.InlineCompletionItem(
    text,
    new vscode.Range(start.line, start.character, end.line, end.character),
    { title: 'egcfg: accepted', command: 'egcfg.didAccept', arguments: [id, outcome, summary] },
  );
}

function shownAt(place: Place, item: vscode.InlineCompletionItem): Shown {
  const [id, outcome = 'unverified', summary = ''] = (item.command?.arguments ?? []) as [id?: string, outcome?: Outcome, summary?: string];
  const nReplaced = item.range ? item.range.end.character - place.position.character : 0;
  return { ...place, id: id ?? '', text: String(item.insertText), outcome, summary, nReplaced };
}
