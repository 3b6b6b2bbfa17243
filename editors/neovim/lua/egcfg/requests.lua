--- Asking the server and taking its answers: one request at a time, for the cursor's place.
--- An answer for any other place, text or mode than the present one is thrown away.
local M = {}

local api = vim.api
local ghost = require("egcfg.ghost")

local METHOD = "textDocument/inlineCompletion"
local INVOKED, AUTOMATIC = 1, 2
local PAUSE_MS = 50 -- where the user chose none and the server makes its own besides
-- RequestCancelled and ContentModified: the ordinary end of a request that typing overtook.
local OVERTAKEN = { [-32800] = true, [-32801] = true }
local NVIM_0_11 = vim.fn.has("nvim-0.11") == 1

---@class egcfg.Place
---@field bufnr integer
---@field tick integer
---@field cursor integer[]

local timer = assert(vim.uv.new_timer())
local pending ---@type { client: vim.lsp.Client, request_id: integer }?
local considered ---@type egcfg.Place? the last place for which a request was scheduled or refused
local silent = false -- the user dismissed or accepted at the place considered: show nothing there
-- What the server last told of a place.
local offered ---@type { place: egcfg.Place, client: vim.lsp.Client, suggestions: table[] }?
local chosen ---@type string? the id of the one that the user has put in the best one's place

---@return egcfg.Place
local function here()
  local bufnr = api.nvim_get_current_buf()
  return {
    bufnr = bufnr,
    tick = api.nvim_buf_get_changedtick(bufnr),
    cursor = api.nvim_win_get_cursor(0),
  }
end

---@param place egcfg.Place
local function is_current(place)
  return api.nvim_get_mode().mode:sub(1, 1) == "i" and vim.deep_equal(place, here())
end

-- Neovim 0.10 has plain functions where 0.11 has methods.
---@param client vim.lsp.Client
---@param name string
function M.call(client, name, ...)
  if NVIM_0_11 then
    return client[name](client, ...)
  end
  return client[name](...)
end

---@param bufnr integer
---@param position lsp.Position
---@param encoding string
---@return integer byte column
local function byte_column(bufnr, position, encoding)
  local line = api.nvim_buf_get_lines(bufnr, position.line, position.line + 1, false)[1] or ""
  if NVIM_0_11 then
    return vim.str_byteindex(line, encoding, position.character, false)
  elseif encoding == "utf-8" then
    return math.min(position.character, #line)
  end
  return vim.str_byteindex(line, position.character, encoding == "utf-16")
end

---@param text string
---@return string
local function unix_lines(text)
  return (text:gsub("\r\n?", "\n"))
end

--- Show a suggestion made for the cursor's place.
---@param client vim.lsp.Client
---@param suggestion table as in egcfg/suggestionsChanged
---@param rank string as in egcfg.Suggestion
local function show(client, suggestion, rank)
  local bufnr, range = api.nvim_get_current_buf(), suggestion.range
  local cursor_col = api.nvim_win_get_cursor(0)[2]
  local end_col = byte_column(bufnr, range["end"], client.offset_encoding)
  ghost.show({
    bufnr = bufnr,
    client_id = client.id,
    id = suggestion.id,
    text = unix_lines(suggestion.text),
    start = { range.start.line, byte_column(bufnr, range.start, client.offset_encoding) },
    tail = math.max(end_col - cursor_col, 0),
    outcome = suggestion.outcome or "unverified",
    summary = suggestion.summary or "",
    rank = rank,
  })
end

---@param suggestions table[]
---@param id string?
---@return integer index 1, the best, where there is none of this id
local function index_of(suggestions, id)
  for i, suggestion in ipairs(suggestions) do
    if suggestion.id == id then
      return i
    end
  end
  return 1
end

---@param index integer
local function show_offered(index)
  local suggestions = offered.suggestions
  local rank = index > 1 and ("%d/%d"):format(index, #suggestions) or ""
  show(offered.client, suggestions[index], rank)
end

--- Nothing is chosen, and nothing to choose from.
local function forget_offered()
  offered, chosen = nil, nil
end

---@param client vim.lsp.Client
---@param items table[]
local function take_answer(client, items)
  local item = items[1]
  if not item then
    ghost.clear()
    forget_offered()
    return
  end
  local current = ghost.current()
  if chosen and current and current.id == chosen then
    return -- the answer is the best one; the user types through another
  end
  local id, outcome, summary = unpack(item.command.arguments)
  show(client, {
    id = id,
    text = item.insertText,
    range = item.range,
    outcome = outcome,
    summary = summary,
  }, "")
end

---@param client vim.lsp.Client
---@param trigger_kind integer
local function ask(client, trigger_kind)
  local place = here()
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = trigger_kind }
  local sent, request_id
  sent, request_id = M.call(client, "request", METHOD, params, function(err, result)
    if pending and pending.request_id == request_id then
      pending = nil
    end
    if err and not OVERTAKEN[err.code] then
      vim.notify_once(("egcfg: %s"):format(err.message), vim.log.levels.WARN)
    elseif not err and is_current(place) then
      take_answer(client, result and (result.items or result) or {})
    end
  end, place.bufnr)
  pending = sent and { client = client, request_id = request_id } or nil
end

--- Take back the scheduled and the unanswered request.
function M.cancel()
  timer:stop()
  if pending and pending.client.requests[pending.request_id] then
    M.call(pending.client, "cancel_request", pending.request_id)
  end
  pending = nil
end

--- Text or cursor changed: follow with the ghost text, and ask anew once typing pauses.
---@param client vim.lsp.Client
---@param config egcfg.Config
function M.follow(client, config)
  local place = here()
  if considered and vim.deep_equal(considered, place) then
    return
  end
  considered, silent, offered = place, false, nil
  local current = ghost.current()
  if current then
    current.rank = "" -- not known here yet
  end
  local kept = ghost.advance()
  chosen = kept and chosen or nil
  if not kept and not config.auto_trigger then
    M.cancel()
    return
  end
  -- The older request is cancelled only when the newer one is sent, for the server goes on with
  -- the same text at once.
  local chosen_ms = config.debounce_ms
  timer:start(type(chosen_ms) == "number" and chosen_ms or PAUSE_MS, 0, vim.schedule_wrap(function()
    if is_current(place) then
      M.cancel()
      ask(client, AUTOMATIC)
    end
  end))
end

--- Ask at once, as the user wants a suggestion here.
---@param client vim.lsp.Client
function M.invoke(client)
  M.cancel()
  forget_offered()
  considered, silent = here(), false
  ask(client, INVOKED)
end

--- Whether there are other suggestions than the one shown.
---@return boolean
function M.has_others()
  local is_here = offered and ghost.current() and is_current(offered.place)
  return is_here and #offered.suggestions > 1 or false
end

--- Show the suggestion `step` places behind the one shown; the last one is followed by the first.
---@param step integer
function M.cycle(step)
  if M.has_others() then
    local suggestions = offered.suggestions
    local index = (index_of(suggestions, ghost.current().id) - 1 + step) % #suggestions + 1
    chosen = index > 1 and suggestions[index].id or nil
    show_offered(index)
  end
end

--- Insert what is shown and tell the server.
function M.accept()
  local accepted = ghost.insert()
  if not accepted then
    return
  end
  M.quiet()
  local client = vim.lsp.get_client_by_id(accepted.client_id)
  if client then
    local params = {
      command = "egcfg.didAccept",
      arguments = { accepted.id, accepted.outcome, accepted.summary },
    }
    M.call(client, "request", "workspace/executeCommand", params, function(err)
      if err then
        vim.lsp.log.error("egcfg.didAccept", err)
      end
    end, accepted.bufnr)
  end
end

--- Clear, and ask for nothing more until the text or the cursor changes.
function M.quiet()
  M.cancel()
  ghost.clear()
  forget_offered()
  considered, silent = here(), true
end

--- Clear, and forget: the next event asks again.
function M.reset()
  M.cancel()
  ghost.clear()
  forget_offered()
  considered, silent = nil, false
end

--- Whether a notification is about the cursor's place and the buffer's present text.
---@param client vim.lsp.Client
---@param params table
local function made_for_here(client, params)
  local bufnr = api.nvim_get_current_buf()
  local row, col = unpack(api.nvim_win_get_cursor(0))
  return considered
    and is_current(considered)
    and params.uri == vim.uri_from_bufnr(bufnr)
    and params.version == (vim.lsp.util.buf_versions[bufnr] or 0)
    and params.position.line == row - 1
    and byte_column(bufnr, params.position, client.offset_encoding) == col
end

--- `egcfg/suggestionsChanged`: redraw in place, from the notification itself. A choice of the user's
--- stays on screen unless the server does not suggest it any more.
---@param client vim.lsp.Client
---@param params table
function M.on_changed(client, params)
  if made_for_here(client, params) then
    if silent then
      return
    elseif params.suggestions[1] then
      offered = { place = considered, client = client, suggestions = params.suggestions }
      local index = index_of(params.suggestions, chosen)
      chosen = params.suggestions[index].id == chosen and chosen or nil
      show_offered(index)
    else
      ghost.clear()
      forget_offered()
    end
    return
  end
  -- Typed through since: an outcome holds only for the very same text.
  local current = ghost.current()
  for _, suggestion in ipairs(current and params.suggestions or {}) do
    if suggestion.id == current.id and unix_lines(suggestion.text) == current.text then
      current.outcome, current.summary = suggestion.outcome, suggestion.summary
      ghost.advance()
    end
  end
end

return M
