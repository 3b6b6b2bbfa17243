--- Verified inline completion for Python: starts `egcfg-lsp` and shows what it suggests.
--- Covers set-up, the server's life and `:Egcfg`; see ghost.lua, requests.lua, keys.lua and ask.lua.
local M = {}

local api = vim.api
local ask = require("egcfg.ask")
local ghost = require("egcfg.ghost")
local keys = require("egcfg.keys")
local requests = require("egcfg.requests")
local trace = require("egcfg.trace")

local NAME = "egcfg"
local ROOT_MARKERS = { "pyproject.toml", "setup.py", "setup.cfg", "tox.ini", ".git" }
local PLUGS = {
  accept = "<Plug>(egcfg-accept)",
  dismiss = "<Plug>(egcfg-dismiss)",
  next = "<Plug>(egcfg-next)",
  previous = "<Plug>(egcfg-previous)",
  explain = "<Plug>(egcfg-explain)",
}

--- Options handed on to the server, whose documentation says what they mean (docs/settings.md).
local SERVER_OPTIONS = {
  "model",
  "interpreter",
  "environment",
  "gpu_layers",
  "context_tokens",
  "threads",
  "flash_attention",
  "kv_cache_type",
  "deadline_seconds",
  "enabled",
  "exclude",
  "debounce_ms",
  "in_strings",
  "speculate",
  "other_files",
  "highest_rung",
  "rank_alpha",
  "rank_beta",
  "rank_parses",
  "rank_runs",
  "rank_tests",
  "rank_trace",
  "guidance_scale",
  "plausibility",
  "signal_tokens",
}

---@class egcfg.Config besides SERVER_OPTIONS, which are nil by default: the server's defaults
local defaults = {
  cmd = { "egcfg-lsp" },
  trust = {}, ---@type string[] folders whose tests may be run, with all below them; see :help egcfg-trust
  -- false leaves a key alone
  keymaps = {
    accept = "<Tab>",
    dismiss = "<C-]>",
    next = "<M-]>",
    previous = "<M-[>",
    explain = "<M-e>",
  },
  auto_trigger = true,
  native = false, -- Neovim 0.12's own vim.lsp.inline_completion; untested
}

---@class egcfg.State
---@field state string as in egcfg/status, like the others
---@field message string
---@field trusted boolean? nil: nobody has said
---@field sandbox { tier: string, works: boolean, detail: string }? nil: not known yet

local config = vim.deepcopy(defaults)
local attached = {} ---@type table<integer, integer> client id by buffer
local states = vim.defaulttable(function() ---@type table<integer, egcfg.State> by client id
  return { state = "starting", message = "starting" }
end)

--- With `~` and environment variables expanded.
local function normalized(path)
  return type(path) == "string" and vim.fs.normalize(path) or path
end

--- Options as `initializationOptions` and `egcfg/optionsChanged` carry them.
local function server_options()
  -- Not a list: the server shall say so.
  local trust = config.trust
  local options = { trust = vim.islist(trust) and vim.tbl_map(normalized, trust) or trust }
  for _, name in ipairs(SERVER_OPTIONS) do
    options[name:gsub("_(%l)", string.upper)] = config[name]
  end
  -- A pause that the user chose is made before the server is asked.
  options.debounceMs = type(config.debounce_ms) == "number" and 0 or config.debounce_ms
  return options
end

---@param bufnr integer
---@return vim.lsp.Client?
local function client_of(bufnr)
  return attached[bufnr] and vim.lsp.get_client_by_id(attached[bufnr])
end

---@param value any nil and `vim.NIL` are nil
local function given(value)
  if value ~= vim.NIL then
    return value
  end
end

local LEVELS = { vim.log.levels.ERROR, vim.log.levels.WARN, vim.log.levels.INFO }

local handlers = {
  ["egcfg/suggestionsChanged"] = function(_, params, ctx)
    local client = vim.lsp.get_client_by_id(ctx.client_id)
    if client and not config.native then
      requests.on_changed(client, params)
    end
  end,
  ["egcfg/status"] = function(_, params, ctx)
    local known = states[ctx.client_id]
    known.state, known.message = params.state, params.message
    known.trusted, known.sandbox = given(params.trusted), given(params.sandbox)
  end,
  ["window/showMessage"] = function(_, params)
    -- Neovim's own handler ends in a line end, which waits for a key.
    vim.notify(params.message, LEVELS[params.type])
  end,
  ["window/showMessageRequest"] = ask.on_request,
}

---@param bufnr integer
local function start(bufnr)
  local path = api.nvim_buf_get_name(bufnr)
  if path == "" or vim.bo[bufnr].buftype ~= "" then
    return
  end
  if vim.fn.executable(config.cmd[1]) == 0 then
    vim.notify_once(
      ("egcfg: the server `%s` was not found. Install it (`pipx install egcfg-lsp`), or set `cmd` "
        .. "in require('egcfg').setup() to its path."):format(config.cmd[1]),
      vim.log.levels.WARN
    )
    return
  end
  local root = vim.fs.root(bufnr, ROOT_MARKERS) or vim.fs.root(bufnr, "tests")
  root = root or vim.fs.dirname(path)
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
  vim.lsp.start({
    name = NAME,
    cmd = config.cmd,
    root_dir = root,
    capabilities = capabilities,
    handlers = handlers,
    init_options = server_options(),
  }, { bufnr = bufnr })
end

--- Whether a key of `keymaps` has something to act on.
---@param action string
---@return boolean
local function is_active(action)
  if vim.fn.pumvisible() == 1 then
    return false
  elseif action == "next" or action == "previous" then
    return requests.has_others()
  end
  return ghost.current() ~= nil
end

---@param bufnr integer
---@param client vim.lsp.Client
local function attach(bufnr, client)
  attached[bufnr] = client.id
  if config.native then
    vim.lsp.inline_completion.enable(true, { client_id = client.id })
    return
  end
  local group = api.nvim_create_augroup("egcfg_" .. bufnr, { clear = true })
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, buffer = bufnr, callback = callback })
  end
  on({ "InsertEnter", "TextChangedI", "TextChangedP", "CursorMovedI" }, function()
    requests.follow(client, config)
  end)
  on({ "InsertLeave", "BufLeave" }, requests.reset)
  for action, lhs in pairs(config.keymaps) do
    if lhs then
      keys.map(bufnr, lhs, PLUGS[action], function()
        return is_active(action)
      end)
    end
  end
  -- The user may have begun to type before the server was up: no event is to come for that.
  if bufnr == api.nvim_get_current_buf() and api.nvim_get_mode().mode:sub(1, 1) == "i" then
    requests.follow(client, config)
  end
end

---@param bufnr integer
local function detach(bufnr)
  attached[bufnr] = nil
  if config.native then
    return
  end
  requests.reset()
  api.nvim_del_augroup_by_name("egcfg_" .. bufnr)
  for _, lhs in pairs(config.keymaps) do
    if lhs and api.nvim_buf_is_loaded(bufnr) then
      keys.unmap(bufnr, lhs)
    end
  end
end

---@param client_id integer
---@return egcfg.State
function M.state_of(client_id)
  return states[client_id]
end

--- What the server of a buffer said last; nil without one. For status lines.
---@param bufnr? integer
---@return egcfg.State?
function M.status(bufnr)
  local client = client_of(bufnr or api.nvim_get_current_buf())
  return client and states[client.id]
end

--- Ask for a suggestion at the cursor now (Insert mode).
function M.trigger()
  local client = client_of(api.nvim_get_current_buf())
  if client then
    requests.invoke(client)
  end
end

--- Show what the tests make of the suggestion shown, else of the function around the cursor.
function M.explain()
  local client = client_of(api.nvim_get_current_buf())
  local shown = ghost.current()
  if client then
    trace.explain_here(client, shown and shown.id)
  end
end

M.accept = requests.accept
M.dismiss = requests.quiet

--- Show the next of several suggestions for the cursor's place, after the last one the first.
function M.next()
  requests.cycle(1)
end

--- Show the one before.
function M.previous()
  requests.cycle(-1)
end

--- What the server does, what protects the machine, and whether tests are run; for people.
---@param client vim.lsp.Client
---@return string
function M.describe(client)
  local known = states[client.id]
  local folder = vim.fn.fnamemodify(client.config.root_dir, ":~")
  local trust = known.trusted and "trusted" or "not trusted"
  local parts = { known.message, M.describe_sandbox(known), ("%s is %s"):format(folder, trust) }
  return table.concat(parts, " · ")
end

---@param known egcfg.State
---@return string
function M.describe_sandbox(known)
  local sandbox = known.sandbox
  if not sandbox then
    return "sandbox: not known yet"
  end
  return ("%s: %s"):format(sandbox.works and "tier " .. sandbox.tier or "no sandbox", sandbox.detail)
end

--- Have the server do something; what it has to say comes as a message.
---@param client vim.lsp.Client
---@param command string
local function execute(client, command)
  local uri = vim.uri_from_bufnr(0)
  local params = { command = command, arguments = { uri } }
  requests.call(client, "request", "workspace/executeCommand", params, function(err)
    if err then
      vim.notify(("egcfg: %s"):format(err.message), vim.log.levels.ERROR)
    end
  end, api.nvim_get_current_buf())
end

local subcommands = {
  status = function(client)
    vim.notify(("egcfg: %s"):format(M.describe(client)))
  end,
  trust = function(client)
    execute(client, "egcfg.trust")
  end,
  untrust = function(client)
    execute(client, "egcfg.revokeTrust")
  end,
  log = function(client)
    execute(client, "egcfg.openLog")
  end,
  trace = function(client)
    trace.explain_here(client)
  end,
}
local SUBCOMMANDS = { "status", "trust", "untrust", "log", "trace" }

local function run_command(command)
  local run = subcommands[command.args]
  local client = client_of(api.nvim_get_current_buf())
  if not run then
    vim.notify("egcfg: use :Egcfg status, trust, untrust, log or trace", vim.log.levels.WARN)
  elseif not client then
    vim.notify("egcfg: no server for this buffer; see :checkhealth egcfg", vim.log.levels.WARN)
  else
    run(client)
  end
end

local function define_highlights()
  for group, link in pairs({
    EgcfgGhost = "Comment",
    EgcfgVerified = "DiagnosticOk",
    EgcfgFails = "DiagnosticError",
    EgcfgUnverified = "Comment",
  }) do
    api.nvim_set_hl(0, group, { link = link, default = true })
  end
end

--- Change the options of the server and `trust` while it runs; those not named stay.
---@param changes table as for setup(); vim.NIL for an option: the server's default
function M.configure(changes)
  -- Not merged deeply: a list replaces a list.
  config = vim.tbl_extend("force", config, changes)
  M.config = config
  for _, client in ipairs(vim.lsp.get_clients({ name = NAME })) do
    requests.call(client, "notify", "egcfg/optionsChanged", { options = server_options() })
  end
end

---@param user? table
function M.setup(user)
  config = vim.tbl_deep_extend("force", defaults, user or {})
  M.config = config
  define_highlights()
  vim.keymap.set("i", PLUGS.accept, "<C-g>u<Cmd>lua require('egcfg').accept()<CR><C-g>u")
  vim.keymap.set("i", PLUGS.dismiss, "<Cmd>lua require('egcfg').dismiss()<CR>")
  vim.keymap.set("i", PLUGS.next, "<Cmd>lua require('egcfg').next()<CR>")
  vim.keymap.set("i", PLUGS.previous, "<Cmd>lua require('egcfg').previous()<CR>")
  vim.keymap.set("i", PLUGS.explain, "<Cmd>lua require('egcfg').explain()<CR>")
  trace.register()
  api.nvim_create_user_command("Egcfg", run_command, {
    nargs = 1,
    desc = "Verified inline completion: status, trust, untrust, log, trace",
    complete = function(lead)
      return vim.tbl_filter(function(name)
        return vim.startswith(name, lead)
      end, SUBCOMMANDS)
    end,
  })
  local group = api.nvim_create_augroup("egcfg", { clear = true })
  local function on(event, pattern, callback)
    api.nvim_create_autocmd(event, { group = group, pattern = pattern, callback = callback })
  end
  on("ColorScheme", nil, define_highlights)
  on("FileType", "python", function(event)
    start(event.buf)
  end)
  on("LspAttach", nil, function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == NAME then
      attach(event.buf, client)
    end
  end)
  on("LspDetach", nil, function(event)
    if attached[event.buf] == event.data.client_id then
      detach(event.buf)
    end
  end)
  on("VimLeavePre", nil, requests.reset)
  for _, bufnr in ipairs(api.nvim_list_bufs()) do
    if api.nvim_buf_is_loaded(bufnr) and vim.bo[bufnr].filetype == "python" then
      start(bufnr)
    end
  end
end

return M
