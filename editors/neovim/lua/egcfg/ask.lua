--- Questions of the server (`window/showMessageRequest`), asked when nobody is typing.
--- Neovim's own way asks at once: what is being typed would be the answer.
local M = {}

local api = vim.api

--- Whether keys that the user presses now are commands, not text.
local function is_idle()
  return api.nvim_get_mode().mode == "n" and vim.fn.getcmdwintype() == ""
end

---@param callback fun()
local function when_idle(callback)
  vim.schedule(function()
    if is_idle() then
      callback()
      return
    end
    api.nvim_create_autocmd("ModeChanged", {
      pattern = "*:n",
      once = true,
      callback = function()
        when_idle(callback)
      end,
    })
  end)
end

--- Runs in a coroutine of the client's; the answer is the chosen action, or nothing.
---@param params lsp.ShowMessageRequestParams
function M.on_request(_, params)
  local running = coroutine.running()
  when_idle(function()
    vim.ui.select(params.actions or {}, {
      prompt = params.message,
      kind = "egcfg",
      format_item = function(action)
        return action.title
      end,
    }, function(action)
      vim.schedule(function() -- vim.ui.select may call back before the coroutine has yielded
        coroutine.resume(running, action or vim.NIL)
      end)
    end)
  end)
  return coroutine.yield()
end

return M
