--- Insert-mode keys that act on ghost text, and do what they did before when there is none.
local M = {}

local api = vim.api

-- By buffer and key: the buffer's own mapping before ours.
local saved = {} ---@type table<integer, table<string, table>>

---@param plug string
local function raw(plug)
  return api.nvim_replace_termcodes(plug, true, true, true)
end

--- What the key did before: the buffer's own mapping, else a global one, which a plugin loaded
--- later than this one may have made.
---@param bufnr integer
---@param lhs string
---@return table?
local function previous(bufnr, lhs)
  if saved[bufnr] and saved[bufnr][lhs] then
    return saved[bufnr][lhs]
  end
  for _, mapping in ipairs(api.nvim_get_keymap("i")) do
    if mapping.lhsraw == raw(lhs) or mapping.lhsrawalt == raw(lhs) then
      return mapping
    end
  end
end

--- Keys that do what `lhs` did before.
---@param bufnr integer
---@param lhs string
---@return string
local function fallback(bufnr, lhs)
  local mapping = previous(bufnr, lhs)
  if not mapping then
    return lhs
  end
  local plug = ("<Plug>(egcfg-before-%s)"):format(lhs:gsub("[<>]", ""))
  local copy = vim.tbl_extend("force", mapping, { lhs = plug, lhsraw = raw(plug), buffer = 0 })
  copy.lhsrawalt = nil
  vim.fn.mapset("i", false, copy)
  return plug
end

--- Map `lhs` in a buffer to `plug` while `is_active()`.
---@param bufnr integer
---@param lhs string
---@param plug string
---@param is_active fun(): boolean
function M.map(bufnr, lhs, plug, is_active)
  api.nvim_buf_call(bufnr, function()
    local mapping = vim.fn.maparg(lhs, "i", false, true)
    if mapping.buffer == 1 then
      saved[bufnr] = vim.tbl_extend("force", saved[bufnr] or {}, { [lhs] = mapping })
    end
  end)
  vim.keymap.set("i", lhs, function()
    return is_active() and plug or fallback(bufnr, lhs)
  end, { buffer = bufnr, expr = true, remap = true, desc = "egcfg: " .. plug })
end

--- Give a buffer's key back.
---@param bufnr integer
---@param lhs string
function M.unmap(bufnr, lhs)
  vim.keymap.del("i", lhs, { buffer = bufnr })
  local mapping = saved[bufnr] and saved[bufnr][lhs]
  if mapping then
    api.nvim_buf_call(bufnr, function()
      vim.fn.mapset("i", false, mapping)
    end)
    saved[bufnr][lhs] = nil
  end
end

return M
