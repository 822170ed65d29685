"""The language server: what `check` finds and `trace` predicts, in an editor.

Theory of operation. `server` speaks the protocol. Whatever the editor reports (a key, a saved file, another branch)
only marks the workspace as changed. One task then checks it again: `workspace` reads the changed document, in place of
its file, and builds on the edge before. Changes that arrive meanwhile are taken together by the next round, so no round
works on an old text for long, and the last change is never lost. Positions of a hover or a fix are those of the text
that was checked last; a question waits for a round that is on its way.
"""
