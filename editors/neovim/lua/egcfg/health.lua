--- `:checkhealth egcfg`: the editor's version, the server's binary, the running servers.
local M = {}

local health = vim.health

function M.check()
  health.start("egcfg")
  local egcfg = require("egcfg")
  if vim.fn.has("nvim-0.10") == 1 then
    health.ok(("Neovim %s"):format(tostring(vim.version())))
  else
    health.error("Neovim 0.10 or newer is needed")
  end
  if not egcfg.config then
    health.warn("not set up", { 'Call require("egcfg").setup() in your init.lua.' })
    return
  end
  local binary = egcfg.config.cmd[1]
  if vim.fn.executable(binary) == 1 then
    health.ok(("server: %s"):format(vim.fn.exepath(binary)))
  else
    health.error(("server `%s` not found"):format(binary), {
      "Install it: pipx install egcfg-lsp",
      'Or set its path: require("egcfg").setup({ cmd = { "/path/to/egcfg-lsp" } })',
    })
  end
  local clients = vim.lsp.get_clients({ name = "egcfg" })
  if #clients == 0 then
    health.info("no server is running: open a Python file")
  end
  for _, client in ipairs(clients) do
    local known = egcfg.state_of(client.id)
    health.info(("%s: %s"):format(client.config.root_dir, known.message))
    local sandbox = egcfg.describe_sandbox(known)
    if known.sandbox and not known.sandbox.works then
      health.warn(("%s; tests are not run"):format(sandbox))
    else
      health.ok(sandbox)
    end
    if not known.trusted then
      health.warn(("%s is not trusted: its tests are not run"):format(client.config.root_dir), {
        "Trust it: :Egcfg trust",
        "Trust it and what is beside it: add a folder to `trust` in setup()",
      })
    end
  end
end

return M
