--- The one suggestion on screen: drawing it, typing through it, inserting it.
--- Knows nothing of the server; rows and columns are 0-based, columns are bytes.
local M = {}

local api = vim.api
local namespace = api.nvim_create_namespace("egcfg")

-- Fixed ids: setting an extmark again replaces it between two screen updates, so nothing flickers.
local TEXT_MARK, SUMMARY_MARK, TEXT_BEHIND_MARK = 1, 2, 3

local OUTCOME_GROUPS = {
  verified = "EgcfgVerified",
  fails = "EgcfgFails",
  partial = "EgcfgFails",
  runs = "EgcfgUnverified",
  unverified = "EgcfgUnverified",
}

---@class egcfg.Suggestion
---@field bufnr integer
---@field client_id integer
---@field id string
---@field text string with "\n" between lines
---@field start integer[] row and column where the replaced text begins
---@field tail integer bytes right of the cursor that the text replaces as well
---@field outcome string as in egcfg/suggestionsChanged
---@field summary string
---@field rank string which of several it is, as `2/4`; empty for the best one

---@type (egcfg.Suggestion | { rest: string })?
local shown

--- The part of a suggestion that is not in the buffer yet.
--- nil when the cursor is elsewhere or the buffer's text has parted from the suggestion.
---@param suggestion egcfg.Suggestion
---@return string? remainder
---@return integer row
---@return integer col
---@return string rest the line's text right of the cursor
local function remainder_at_cursor(suggestion)
  local cursor = api.nvim_win_get_cursor(0)
  local row, col = cursor[1] - 1, cursor[2]
  local rest = api.nvim_get_current_line():sub(col + 1)
  local start_row, start_col = suggestion.start[1], suggestion.start[2]
  local behind = row < start_row or (row == start_row and col < start_col)
  if behind or api.nvim_get_current_buf() ~= suggestion.bufnr then
    return nil, row, col, rest
  end
  local typed = table.concat(api.nvim_buf_get_text(0, start_row, start_col, row, col, {}), "\n")
  local continues = vim.startswith(suggestion.text, typed) and #typed < #suggestion.text
  return continues and suggestion.text:sub(#typed + 1) or nil, row, col, rest
end

--- Virtual text shows a tab as one cell: spaces up to the tab stops take its place.
---@param text string
---@param column integer screen column where the text begins
---@return string
local function expand_tabs(text, column)
  local tabstop = vim.bo.tabstop
  local expanded = text:gsub("([^\t]*)\t", function(before)
    local width = vim.fn.strdisplaywidth(before)
    local padding = tabstop - (column + width) % tabstop
    column = column + width + padding
    return before .. (" "):rep(padding)
  end)
  return expanded
end

--- Ghost text that takes the place of `)` and holds one itself stands around the buffer's own.
---@param line string
---@param replaced string the buffer's text that it takes the place of
---@return string before
---@return string behind empty where nothing is replaced, or what is replaced is not in it
local function split_around(line, replaced)
  local first, last = line:find(replaced, 1, true)
  if replaced == "" or not first then
    return line, ""
  end
  return line:sub(1, first - 1), line:sub(last + 1)
end

--- What stands at the line's end; empty: nothing.
---@param suggestion egcfg.Suggestion
---@return string
local function annotation_of(suggestion)
  local separator = suggestion.rank ~= "" and suggestion.summary ~= "" and " · " or ""
  return suggestion.rank .. separator .. suggestion.summary
end

---@param remainder string
---@param row integer
---@param col integer
local function draw(remainder, row, col)
  local lines = vim.split(remainder, "\n", { plain = true })
  local before, behind = split_around(lines[1], shown.rest:sub(1, shown.tail))
  local virt_lines = {}
  for i = 2, #lines do
    virt_lines[i - 1] = { { expand_tabs(lines[i], 0), "EgcfgGhost" } }
  end
  api.nvim_buf_set_extmark(shown.bufnr, namespace, row, col, {
    id = TEXT_MARK,
    virt_text = { { expand_tabs(before, vim.fn.virtcol(".") - 1), "EgcfgGhost" } },
    virt_text_pos = "inline",
    virt_lines = virt_lines,
    undo_restore = false,
  })
  if behind ~= "" then
    api.nvim_buf_set_extmark(shown.bufnr, namespace, row, col + shown.tail, {
      id = TEXT_BEHIND_MARK,
      virt_text = { { behind, "EgcfgGhost" } },
      virt_text_pos = "inline",
      undo_restore = false,
    })
  else
    api.nvim_buf_del_extmark(shown.bufnr, namespace, TEXT_BEHIND_MARK)
  end
  local annotation = annotation_of(shown)
  if annotation ~= "" then
    api.nvim_buf_set_extmark(shown.bufnr, namespace, row, 0, {
      id = SUMMARY_MARK,
      virt_text = { { annotation, OUTCOME_GROUPS[shown.outcome] or "EgcfgUnverified" } },
      virt_text_pos = "eol",
      undo_restore = false,
    })
  else
    api.nvim_buf_del_extmark(shown.bufnr, namespace, SUMMARY_MARK)
  end
end

--- Show a suggestion in place of the present one. One that does not fit the text at the cursor
--- clears the screen.
---@param suggestion egcfg.Suggestion
function M.show(suggestion)
  local remainder, row, col, rest = remainder_at_cursor(suggestion)
  if not remainder then
    M.clear()
    return
  end
  shown = vim.tbl_extend("force", suggestion, { rest = rest })
  draw(remainder, row, col)
end

--- Follow the cursor after typing or moving: keep what is still to come, or clear.
---@return boolean kept
function M.advance()
  if not shown then
    return false
  end
  local remainder, row, col, rest = remainder_at_cursor(shown)
  if not remainder or rest ~= shown.rest then
    M.clear()
    return false
  end
  draw(remainder, row, col)
  return true
end

function M.clear()
  if shown and api.nvim_buf_is_valid(shown.bufnr) then
    api.nvim_buf_clear_namespace(shown.bufnr, namespace, 0, -1)
  end
  shown = nil
end

---@return egcfg.Suggestion?
function M.current()
  return shown
end

--- Insert what is shown; the cursor goes behind it.
---@return egcfg.Suggestion? inserted
function M.insert()
  local suggestion = shown
  local remainder, row, col = nil, 0, 0
  if suggestion then
    remainder, row, col = remainder_at_cursor(suggestion)
  end
  M.clear()
  if not suggestion or not remainder then
    return nil
  end
  local lines = vim.split(remainder, "\n", { plain = true })
  api.nvim_buf_set_text(0, row, col, row, col + suggestion.tail, lines)
  local end_col = #lines[#lines] + (#lines == 1 and col or 0)
  api.nvim_win_set_cursor(0, { row + #lines, end_col })
  return suggestion
end

return M
