// Starts the language server with the user's settings and shows its state.
// What is executed is chosen by the user's settings alone, never by the workspace's.

import * as vscode from 'vscode';
import { CloseAction, type ErrorHandler, LanguageClient, State } from 'vscode-languageclient/node';
import { GhostText } from './ghostText';
import { configurationMiddleware, initializationOptions, serverCommand, userOptions } from './settings';
import { describeStatus, type Status, type SuggestionsChanged } from './suggestion';
import { Traces } from './traces';

const STATUS_ICONS: Record<Status['state'], string> = {
  starting: '$(loading~spin)',
  ready: '$(check)',
  busy: '$(sync~spin)',
  error: '$(error)',
};

/** The client of the running server, the settings it was given, and what ends with it. */
let session: { client: Client; command: string; options: string; parts: vscode.Disposable } | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration(() => settingsChanged(context.extensionPath)),
  );
  await start(context.extensionPath);
}

export async function deactivate(): Promise<void> {
  const ended = session;
  session = undefined;
  ended?.parts.dispose();
  await ended?.client.dispose();
}

/** VS Code also calls this for settings that stayed the same, as when trust is granted. */
async function settingsChanged(cwd: string): Promise<void> {
  const options = JSON.stringify(userOptions());
  const optionsChanged = session?.options !== options;
  const isStopped = session?.client.state === State.Stopped;
  if (session?.command !== JSON.stringify(serverCommand()) || (optionsChanged && isStopped)) {
    await deactivate();
    await start(cwd);
  } else if (optionsChanged) {
    session.options = options;
    await session.client.sendNotification('egcfg/optionsChanged', { options: initializationOptions() });
  }
}

/** A client that leaves it to its caller to tell people why the server did not start. */
class Client extends LanguageClient {
  hasStarted = false;

  override error(message: string, data?: unknown, showNotification?: boolean | 'force'): void {
    super.error(message, data, this.hasStarted && showNotification);
  }

  override createDefaultErrorHandler(maxRestartCount?: number): ErrorHandler {
    const handler = super.createDefaultErrorHandler(maxRestartCount);
    return {
      error: (error, message, count) => handler.error(error, message, count),
      closed: () => (this.hasStarted ? handler.closed() : { action: CloseAction.DoNotRestart, handled: true }),
    };
  }
}

/** `cwd`: a folder outside the workspace, so that no program or module is looked up in the workspace. */
async function start(cwd: string): Promise<void> {
  const [command = '', ...args] = serverCommand();
  const ghostText = new GhostText((message, error) => client.error(message, error));
  const traces = new Traces(() => ghostText.shownId());
  const statusItem = vscode.window.createStatusBarItem('egcfg.status', vscode.StatusBarAlignment.Right);
  const client = new Client('egcfg', 'egcfg', { command, args, options: { cwd } }, {
    documentSelector: [{ scheme: 'file', language: 'python' }],
    initializationOptions,
    initializationFailedHandler: () => false,
    middleware: { ...ghostText.middleware, ...traces.middleware, workspace: configurationMiddleware },
  });
  statusItem.name = 'egcfg';
  const showStatus = (status: Status): void => {
    statusItem.text = `${STATUS_ICONS[status.state]} egcfg`;
    statusItem.tooltip = describeStatus(status);
    statusItem.show();
  };
  client.onNotification('egcfg/status', showStatus);
  client.onNotification('egcfg/suggestionsChanged', (message: SuggestionsChanged) => ghostText.suggestionsChanged(message));
  const trust = vscode.workspace.onDidGrantWorkspaceTrust(async () => {
    ghostText.forget();
    await client.sendNotification('egcfg/trustChanged', { trusted: true });
  });
  session = {
    client,
    command: JSON.stringify(serverCommand()),
    options: JSON.stringify(userOptions()),
    parts: vscode.Disposable.from(ghostText, traces, statusItem, trust),
  };
  try {
    await client.start();
    client.hasStarted = true;
  } catch (error) {
    client.error('The server did not start', error);
    showStatus({ state: 'error', message: `egcfg: ${command} did not start`, sandbox: null, trusted: null });
    void explainStartError(client, command);
  }
}

async function explainStartError(client: Client, command: string): Promise<void> {
  const settings = 'Open Setting';
  const output = 'Show Output';
  const chosen = await vscode.window.showErrorMessage(
    `egcfg: the language server "${command}" did not start. Install it by "pip install egcfg-lsp", `
    + 'or set "egcfg.serverCommand" in the user settings to where it is.',
    settings, output,
  );
  if (chosen === settings) {
    await vscode.commands.executeCommand('workbench.action.openSettings', 'egcfg.serverCommand');
  } else if (chosen === output) {
    client.outputChannel.show();
  }
}
