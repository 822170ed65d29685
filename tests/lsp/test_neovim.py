"""The language server in a real editor: Neovim, without a screen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEOVIM = shutil.which("nvim")

pytestmark = [pytest.mark.edge, pytest.mark.skipif(NEOVIM is None, reason="Neovim is not installed")]

SCRIPT = """\
local found = {}
vim.cmd("edit k8s/40-gateway.yaml")
local folder = vim.fn.getcwd()
local id = vim.lsp.start_client({
  name = "lockgate", cmd = vim.fn.json_decode(vim.env.SERVER), root_dir = folder,
  workspace_folders = {{ uri = vim.uri_from_fname(folder), name = "project" }},
})
vim.lsp.buf_attach_client(0, id)
vim.wait(20000, function() return vim.lsp.get_client_by_id(id).initialized end)

vim.api.nvim_buf_set_lines(0, 14, 15, false, { "      hosts: [towpath.example]" })
vim.api.nvim_win_set_cursor(0, { 15, 7 })
vim.wait(20000, function() return #vim.diagnostic.get(0) > 0 end)
found.diagnostics = vim.diagnostic.get(0)

local function ask(method, parameters)
  return vim.lsp.buf_request_sync(0, method, parameters, 20000)[id].result
end
found.hover = ask("textDocument/hover", vim.lsp.util.make_position_params(0, "utf-16")).contents.value
local where = vim.lsp.util.make_range_params(0, "utf-16")
where.context = { diagnostics = vim.lsp.diagnostic.get_line_diagnostics() }
local actions = ask("textDocument/codeAction", where)
found.actions = vim.tbl_map(function(each) return each.title end, actions)
vim.lsp.util.apply_workspace_edit(actions[1].edit, "utf-16")
vim.wait(20000, function() return #vim.diagnostic.get(0) == 0 end)
found.after = #vim.diagnostic.get(0)
found.line = vim.api.nvim_buf_get_lines(0, 14, 15, false)[1]
vim.fn.writefile({ vim.fn.json_encode(found) }, "found.json")
vim.cmd("qa!")
"""


def test_findings_hover_and_fixes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "edge", tmp_path / "k8s")
    (tmp_path / "script.lua").write_text(SCRIPT)
    assert NEOVIM is not None
    done = subprocess.run(
        [NEOVIM, "--headless", "-u", "NONE", "-i", "NONE", "-c", "luafile script.lua", "-c", "cquit"],
        cwd=tmp_path,
        env={
            **os.environ,
            "SERVER": json.dumps([sys.executable, "-m", "lockgate", "lsp"]),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (tmp_path / "found.json").exists(), done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    (shown,) = found["diagnostics"]
    assert (shown["code"], shown["lnum"], shown["col"], shown["end_col"]) == ("LG5001", 14, 6, 11)
    assert found["hover"].startswith("**LG5001** ")
    assert "→ The load balancer answers 502." in found["hover"]
    assert [title.partition(":")[0] for title in found["actions"]] == [
        "Fix LG5001",
        "Ignore LG5001 here, with a reason",
    ]
    assert (found["after"], found["line"]) == (0, '      hosts: ["*"]')
