// What of VS Code's settings goes to the server: explicitly set values only, so that a default
// of VS Code does not override what a pyproject.toml says.
// Which settings there are, and whose, says package.json: those of the scope `machine` are the
// user's alone and choose what is executed; those of the scope `resource` are also a project's.

import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { contributes } from '../package.json';

type Options = Record<string, unknown>;
type Inspected = NonNullable<ReturnType<vscode.WorkspaceConfiguration['inspect']>>;

const SECTION = 'egcfg';
const USER_KEYS = keysOfScope('machine').filter((key) => key !== 'serverCommand');
const PROJECT_KEYS = keysOfScope('resource');

/** The program and its arguments, from the user's settings alone. */
export function serverCommand(): string[] {
  const values = vscode.workspace.getConfiguration(SECTION).inspect<string[]>('serverCommand');
  return values?.globalValue ?? values?.defaultValue ?? [];
}

/** What the user alone set. */
export function userOptions(): Options {
  return explicitlySet(USER_KEYS, undefined, ({ globalValue }) => globalValue);
}

/** What `initializationOptions` and `egcfg/optionsChanged` carry. */
export function initializationOptions(): Options {
  return { trusted: vscode.workspace.isTrusted, ...userOptions() };
}

/** Answers the server's `workspace/configuration` with what the settings of a folder may say. */
export const configurationMiddleware: NonNullable<Middleware['workspace']> = {
  configuration: ({ items }) => items.map(({ section, scopeUri }) => (section === SECTION ? projectOptions(scopeUri) : null)),
};

function projectOptions(scopeUri: string | undefined): Options {
  const scope = scopeUri === undefined ? undefined : vscode.Uri.parse(scopeUri);
  return explicitlySet(PROJECT_KEYS, scope, (values) => (
    values.workspaceFolderValue ?? values.workspaceValue ?? values.globalValue
  ));
}

function explicitlySet(keys: string[], scope: vscode.Uri | undefined, valueOf: (values: Inspected) => unknown): Options {
  const configuration = vscode.workspace.getConfiguration(SECTION, scope);
  const options: Options = {};
  for (const key of keys) {
    const values = configuration.inspect(key);
    const value = values && valueOf(values);
    // An emptied text field of the settings editor is not a value.
    if (value !== undefined && value !== '') {
      options[key] = value;
    }
  }
  return options;
}

function keysOfScope(scope: string): string[] {
  return Object.entries(contributes.configuration.properties)
    .filter(([, property]) => property.scope === scope)
    .map(([name]) => name.slice(SECTION.length + 1));
}
