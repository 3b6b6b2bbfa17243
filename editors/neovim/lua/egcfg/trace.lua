--- Explain trace: what ran, as the server tells it in Markdown, in a scratch buffer beside the code.
local M = {}

local api = vim.api
local requests = require("egcfg.requests")

local COMMAND = "egcfg.explainTrace"
local FILETYPE = "markdown"

local scratch ---@type integer? the buffer of the last page

---@param page { title: string, markdown: string }
local function show(page)
  if not scratch or not api.nvim_buf_is_valid(scratch) then
    scratch = api.nvim_create_buf(false, true)
    vim.bo[scratch].bufhidden = "wipe"
    vim.keymap.set("n", "q", "<Cmd>close<CR>", { buffer = scratch, desc = "egcfg: close the trace" })
  end
  vim.bo[scratch].modifiable = true
  api.nvim_buf_set_lines(scratch, 0, -1, true, vim.split(vim.trim(page.markdown), "\n"))
  vim.bo[scratch].modifiable = false
  vim.bo[scratch].filetype = FILETYPE
  local window = vim.fn.bufwinid(scratch)
  if window == -1 then
    local width = math.max(math.floor(vim.o.columns / 2), 40)
    window = api.nvim_open_win(scratch, false, { split = "right", width = width })
    vim.wo[window].wrap = false
    vim.wo[window].number = false
    vim.wo[window].conceallevel = 0
  end
  vim.wo[window].winbar = page.title:gsub("%%", "%%%%")
  api.nvim_win_set_cursor(window, { 1, 0 })
end

--- Run what `argument` names and show what ran. The cursor stays where it is.
---@param client vim.lsp.Client
---@param argument { uri: string, position: lsp.Position, of: string? }
function M.explain(client, argument)
  local arguments = { vim.tbl_extend("force", argument, { show = false }) }
  local params = { command = COMMAND, arguments = arguments }
  requests.call(client, "request", "workspace/executeCommand", params, function(err, page)
    if err then
      vim.notify(("egcfg: %s"):format(err.message), vim.log.levels.ERROR)
    elseif page and page ~= vim.NIL then
      show(page)
    end
  end, api.nvim_get_current_buf())
end

--- The same for the cursor's place: the suggestion shown, else the function.
---@param client vim.lsp.Client
---@param suggestion_id string?
function M.explain_here(client, suggestion_id)
  local place = vim.lsp.util.make_position_params(0, client.offset_encoding)
  M.explain(client, {
    uri = place.textDocument.uri,
    position = place.position,
    of = suggestion_id or "function",
  })
end

--- Have code actions that lead here do so.
function M.register()
  vim.lsp.commands[COMMAND] = function(command, ctx)
    local client = vim.lsp.get_client_by_id(ctx.client_id)
    if client then
      M.explain(client, command.arguments[1])
    end
  end
end

return M
