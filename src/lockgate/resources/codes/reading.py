"""LG00xx, first part: files that cannot be read as manifests."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

SYNTAX = Code(
    "LG0001",
    Severity.ERROR,
    "Invalid YAML or JSON",
    message="this is not valid YAML: {problem}",
    what="The document cannot be parsed.",
    why="None of its objects exist in the edge. The other documents of the file are read, and where the file was good "
    "before, its last good objects go on serving.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: "shop
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: "shop"
        """,
)
BAD_CHARACTER = SYNTAX.variant(
    "a value cannot start with this character",
    "indent with spaces, not tabs, and quote a value that starts with @, ` or %",
)
UNEXPECTED_COLON = SYNTAX.variant(
    "a `:` is not allowed here", "align the key with its neighbours, or quote a value that contains `: `"
)
EXPECTED_KEY = SYNTAX.variant(
    "expected a key: this line is not aligned with its neighbours, or a quote or bracket is still open",
    "indent all keys of a map alike",
)
MISSING_COLON = SYNTAX.variant("this key has no `:`", "write `key: value`, and quote text that spans several lines")
EXPECTED_ENTRY = SYNTAX.variant("expected a list entry", "start every entry with `- ` in the same column")
EXPECTED_VALUE = SYNTAX.variant("expected a value", "write one, and close every bracket that is open")
OPEN_QUOTE = SYNTAX.variant("a quote that opens here or earlier is never closed", "close the quote")
NO_ANCHOR = SYNTAX.variant("the alias (`*name`) has no anchor (`&name`)", "define the anchor in this document")
NO_TAG = SYNTAX.variant("the tag (`!name`) is not defined", "remove the tag")
BAD_ESCAPE = SYNTAX.variant("unknown escape sequence in double quotes", "use single quotes, or write `\\\\`")
NO_SEPARATOR = SYNTAX.variant("a second document starts here without `---`", "put `---` between documents")
OPEN_BRACKET = SYNTAX.variant("a bracket is not closed, or a comma is missing", "close every bracket that is open")
UNQUOTED_PLACEHOLDER = SYNTAX.variant(
    "a placeholder without quotes, within braces or brackets, is read as a map",
    "write the real value, or put the placeholder in quotes",
)
UNEXPECTED_ENTRY = SYNTAX.variant("a list entry (`- `) is not allowed here", "put the list on lines of its own")

TEMPLATE = Code(
    "LG0002",
    Severity.WARNING,
    "A Helm template instead of a manifest",
    message="this is a Helm template, not a manifest{count}",
    fix="render it first: helm template CHART | lockgate up -",
    what="The document has Helm's `{{ … }}` in it.",
    why="No API server accepts a template, so the file is ignored. The other files are served.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: {{ .Values.namespace }}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
        """,
)

ENCODING = Code(
    "LG0003",
    Severity.ERROR,
    "Not text",
    message="the file is not UTF-8 text",
    fix="save the file as UTF-8",
    what="The file has bytes that are not valid UTF-8, or characters that YAML does not allow.",
    why="The document cannot be parsed, and none of its objects exist in the edge.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: sh\x01op}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        """,
)
BAD_CODE_POINT = ENCODING.variant("YAML does not allow the character {character}", "remove it")
HALF_A_PAIR = ENCODING.variant("half of a surrogate pair is not a character", ENCODING.fix)

LIMIT = Code(
    "LG0004",
    Severity.ERROR,
    "Beyond a limit",
    message="the file is larger than {limit}",
    fix="split it; it is not read",
    what="The file is too large, too deeply nested, or repeats too much by aliases.",
    why="A small text can expand to more than the memory of the machine, so reading has limits. What is beyond them is "
    "not read.",
    example="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: deep}
        data: {a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
            ]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}
        """,
    instead="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: flat}
        data: {a: text}
        """,
)
TOO_DEEP = LIMIT.variant("maps and lists are nested deeper than {limit} levels")
TOO_MANY_VALUES = LIMIT.variant("one document has more than {limit} values", LIMIT.fix)
LONG_LIST = LIMIT.variant("one list has more than {limit} objects", LIMIT.fix)
TOO_MANY_DOCUMENTS = LIMIT.variant("only the first {limit} documents of a file are read", "split it into files")
TOO_MANY_DIRECTIVES = LIMIT.variant("one document has more than {limit} directives (%)", LIMIT.fix)
MORE_FAULTS = LIMIT.variant("{count} more faults in this file are not listed")
TOO_MANY_ALIASES = LIMIT.variant("aliases or merges repeat too many values")

DUPLICATE_KEY = Code(
    "LG0005",
    Severity.WARNING,
    "A key twice in one map",
    message="the key `{key}` appears twice in one map, and the last value is used",
    fix="remove one of them",
    what="A map has the same key twice.",
    why="The first value is lost, as with kubectl. Often two blocks were merged by hand, and one of them does nothing.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
          labels: {team: web}
          labels: {tier: frontend}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
          labels: {team: web, tier: frontend}
        """,
)

NOT_A_MANIFEST = Code(
    "LG0006",
    Severity.WARNING,
    "Not a Kubernetes manifest",
    message="not a Kubernetes manifest: {found}{count}",
    fix="{hint}",
    what="The document is YAML or JSON, but not an object with apiVersion, kind and metadata.",
    why="It is ignored. A repository has many such files; the warning is for those that should have been manifests.",
    example="""
        name: web
        version: 1.0.0
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: web}
        """,
)

MORE_OTHER_FILES = NOT_A_MANIFEST.variant(
    "{count} more files are not Kubernetes manifests", "name only the manifests to leave them out"
)

NO_KIND = Code(
    "LG0007",
    Severity.ERROR,
    "apiVersion or kind missing",
    message="expected {field}, found {found}",
    fix="start every object with apiVersion, kind and metadata",
    what="An object has no apiVersion, or no kind.",
    why="Without both, no API server knows what the object is. It does not exist in the edge.",
    example="""
        kind: Namespace
        metadata: {name: shop}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        """,
)

NO_NAME = Code(
    "LG0008",
    Severity.ERROR,
    "metadata.name missing",
    message="metadata.name is missing",
    fix="name the object",
    what="An object has no name.",
    why="The API server refuses it, so it does not exist in the edge.",
    example="""
        apiVersion: v1
        kind: Namespace
        metadata: {labels: {team: web}}
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, labels: {team: web}}
        """,
)
GENERATED_NAME = NO_NAME.variant(NO_NAME.message, "name the object; generateName works with `kubectl create` only")

EMPTY_FILE = Code(
    "LG0017",
    Severity.INFO,
    "An empty file",
    message="the file {is_empty}",
    fix="add objects to it, or remove it",
    what="The file has nothing in it, or only comments.",
    why="Nothing comes of it. A generator that fails often leaves an empty file behind.",
    example="""
        # nothing here yet
        """,
    instead="""
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        """,
)

NOT_RENDERED = Code(
    "LG0019",
    Severity.WARNING,
    "A kustomization or a Helm chart that is not rendered",
    message="{folder} is not rendered: {limit} others are",
    fix="name it: lockgate up {folder}",
    what="A folder holds what manifests are made from, and not the manifests themselves.",
    why="Its objects are not part of the edge. A kustomization is rendered with `kustomize` or `kubectl`, a chart with "
    "`helm`, when the program is on PATH. Of several kustomizations that share a base, the base is rendered: which of "
    "them is meant, only you know.",
)
NO_KUSTOMIZE = NOT_RENDERED.variant(
    "the kustomization {folder} is not rendered; its resources are read as they are",
    "install kubectl or kustomize, or pipe it in: kubectl kustomize {folder} | lockgate up -",
)
READ_AS_IT_IS = NOT_RENDERED.variant(
    "`{command}` failed, so its resources are read as they are: {reason}", "run it yourself until it prints manifests"
)
NO_HELM = NOT_RENDERED.variant(
    "the Helm chart {folder} is not rendered", "install helm, or pipe it in: helm template {folder} | lockgate up -"
)
LIBRARY_CHART = NOT_RENDERED.variant("a library chart has no manifests of its own", "name the chart that uses it")
VARIANT = NOT_RENDERED.variant(
    "the kustomization {folder} is not rendered: {instead} is", "name it to see it: lockgate up {folder}"
)
VARIANT_OF_NONE = NOT_RENDERED.variant(
    "the kustomization {folder} is not rendered: others use the same files", "name it to see it: lockgate up {folder}"
)
OUTSIDE_KUSTOMIZATION = NOT_RENDERED.variant(
    "the kustomization does not use {files}", "add them to its resources, or name them: lockgate up FILE"
)
UNUSED_VALUES = NOT_RENDERED.variant(
    "these values are not used: no Helm chart is rendered", "name the chart's folder, and put helm on PATH"
)

RENDERING_FAILED = Code(
    "LG0020",
    Severity.ERROR,
    "A kustomization or a Helm chart that cannot be rendered",
    message="`{command}` failed: {reason}",
    fix="run it yourself until it prints manifests",
    what="The program that renders a folder ended with an error, printed too much, or did not end in time.",
    why="Its objects are not part of the edge. Where it was rendered before, the last good objects go on serving.",
)
