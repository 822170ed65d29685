"""LG00xx and LG01xx: reading manifests, and what the Kubernetes API and its webhooks refuse."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

SYNTAX = Code(
    "LG0001",
    _ERROR,
    "Not YAML or JSON",
    message="this is not valid YAML: {problem}",
    why="The document cannot be parsed. Others in the same file are still read.",
)
BAD_CHARACTER = SYNTAX.variant(
    "this character cannot begin a value", "indent with spaces, never tabs; quote a value that begins with @, ` or %"
)
UNEXPECTED_COLON = SYNTAX.variant(
    "a `:` where no key can be", "line the key up with its neighbours, or quote a value that has `: ` in it"
)
EXPECTED_KEY = SYNTAX.variant(
    "a key was expected here: this line is out of line with its neighbours, or a quote or bracket is open",
    "indent the entries of one map alike",
)
MISSING_COLON = SYNTAX.variant("a key without its `:`", "write `key: value`, and quote text that runs over lines")
EXPECTED_ENTRY = SYNTAX.variant("an entry of a list was expected here", "begin every entry with `- ` in one column")
OPEN_QUOTE = SYNTAX.variant("a quote that is opened here or before is never closed", "close the quote")
NO_ANCHOR = SYNTAX.variant("an alias (`*name`) without its anchor (`&name`)", "define the anchor in this document")
NO_TAG = SYNTAX.variant("a tag (`!name`) that is not defined", "remove the tag")
BAD_ESCAPE = SYNTAX.variant("an unknown escape in double quotes", "use single quotes, or `\\\\`")
NO_SEPARATOR = SYNTAX.variant("a second document without `---` before it", "put `---` between documents")
OPEN_BRACKET = SYNTAX.variant(
    "a bracket that is not closed, or a missing comma", "close it with the bracket that opened it"
)
UNEXPECTED_ENTRY = SYNTAX.variant("a list entry (`- `) where none can be", "put the list on lines of its own")
TEMPLATE = Code(
    "LG0002",
    _WARNING,
    "A template, not a manifest",
    message="this is a Helm template, not a manifest{count}",
    fix="render it first: helm template CHART | lockgate … -",
    why="Helm's {{ … }} must be rendered first: no API server takes the text itself. Other files are served.",
)
ENCODING = Code(
    "LG0003",
    _ERROR,
    "Not text",
    message="the file is not UTF-8 text",
    fix="save the file as UTF-8",
    why="Manifests are UTF-8 without control characters.",
)
BAD_CODE_POINT = ENCODING.variant("the character {character} is not allowed in YAML", "remove it")
HALF_A_PAIR = ENCODING.variant("half of a surrogate pair is not a character", "save the file as UTF-8")
LIMIT = Code(
    "LG0004",
    _ERROR,
    "Beyond a limit",
    message="the file is larger than {limit}",
    fix="split it; it is not read",
    why="Size, depth and alias expansion are bounded, so that a file can't take the machine's memory.",
)
TOO_DEEP = LIMIT.variant("maps and lists are nested deeper than {limit} levels")
TOO_MANY_VALUES = LIMIT.variant("one document has more than {limit} values", LIMIT.fix)
LONG_LIST = LIMIT.variant("one list has more than {limit} objects", LIMIT.fix)
TOO_MANY_DOCUMENTS = LIMIT.variant("only the first {limit} documents of a file are read", "split it into files")
TOO_MANY_ALIASES = LIMIT.variant("aliases or merges repeat too many values")
TOO_MANY_DIRECTIVES = LIMIT.variant("one document has more than {limit} directives (%)", LIMIT.fix)
MORE_FAULTS = LIMIT.variant("{count} more faults in this file are not listed")
DUPLICATE_KEY = Code(
    "LG0005",
    _WARNING,
    "A key twice in one map",
    message="`{key}` stands twice in one map; the last one counts",
    fix="remove one of them",
    why="The last one counts and the first is lost without a word, as with kubectl.",
)
NOT_A_MANIFEST = Code(
    "LG0006",
    _WARNING,
    "Not a Kubernetes manifest",
    message="not a Kubernetes manifest: {found}{count}",
    fix="{hint}",
    why="A manifest is a map with apiVersion, kind and metadata. Other files are ignored; the manifests are served.",
)
MORE_OTHER_FILES = NOT_A_MANIFEST.variant(
    "{count} more files are not Kubernetes manifests", "name only the manifests to leave them out"
)
NO_KIND = Code(
    "LG0007",
    _ERROR,
    "apiVersion or kind missing",
    message="expected {field}, found {found}",
    fix="every object begins with apiVersion, kind and metadata",
    why="Without both, nobody knows what the object is.",
)
NO_NAME = Code(
    "LG0008",
    _ERROR,
    "metadata.name missing",
    message="metadata.name is missing",
    fix="name the object",
    why="The API server refuses an object without a name.",
)
GENERATED_NAME = NO_NAME.variant(
    "metadata.name is missing", "give it a name; generateName only works with `kubectl create`"
)
OBJECT_WITHOUT_EFFECT = Code(
    "LG0009",
    _WARNING,
    "An object without effect here",
    message="{what} has no effect: {reason}",
    fix="{hint}",
    why="The API stores and lists it, as in a cluster, and nothing on this machine follows from it.",
)
OBJECTS_WITHOUT_EFFECT = OBJECT_WITHOUT_EFFECT.variant("{what} have no effect: {reason}", "{hint}")
VERSION = Code(
    "LG0010",
    _ERROR,
    "A version that is not served",
    message="{kind} is not served as {version}",
    fix="use {served}",
    why="The kind exists, but not in this API version; a cluster answers `no matches for kind`.",
)
UNKNOWN_FIELD = Code(
    "LG0011",
    _WARNING,
    "An unknown field",
    message="{kind} has no field {field}",
    fix="remove it, or check its indentation",
    why="The API server drops it (or refuses the object, with strict validation): what it was to say is not done.",
)
MORE_UNKNOWN_FIELDS = UNKNOWN_FIELD.variant("{count} more unknown fields in this object")
MISSPELT_FIELD = UNKNOWN_FIELD.variant(UNKNOWN_FIELD.message, "did you mean `{near}`?")
WRONG_TYPE = Code(
    "LG0012",
    _ERROR,
    "A value of the wrong type",
    message="{field}: expected {expected}, found {found}",
    why="The API server refuses the object.",
)
UNQUOTED = WRONG_TYPE.variant(WRONG_TYPE.message, "quote it")
QUOTED = WRONG_TYPE.variant(WRONG_TYPE.message, "write it without quotes")
DUPLICATE_OBJECT = Code(
    "LG0013",
    _WARNING,
    "One object, defined twice",
    message="{object} is already defined at {earlier}; this definition replaces it",
    fix="remove one of them",
    why="Applied in order, the later definition replaces the earlier one.",
)
CLUSTER_SCOPED = Code(
    "LG0014",
    _INFO,
    "A namespace on a cluster-scoped object",
    message="{kind} is cluster-scoped; its namespace has no effect",
    fix="remove it",
    why="It has no effect: kubectl and the API server drop it.",
)
FIELD_WITHOUT_EFFECT = Code(
    "LG0015",
    _WARNING,
    "A field without effect here",
    message="{what} has no effect: {reason}",
    fix="{hint}",
    why="The API stores it, as in a cluster, and nothing on this machine follows from it.",
)
NOT_ENFORCED = Code(
    "LG0016",
    _WARNING,
    "A policy that is not enforced",
    message="{what} is not enforced: {reason}",
    fix="{hint}",
    why="What it denies in a cluster is let through here.",
)
POLICIES_NOT_ENFORCED = NOT_ENFORCED.variant("{what} are not enforced: {reason}", "{hint}")
EMPTY_FILE = Code(
    "LG0017",
    _INFO,
    "An empty file",
    message="the file {is_empty}",
    fix="put objects into it, or remove it",
    why="Nothing comes of it.",
)
UNKNOWN_KIND = Code(
    "LG0018",
    _INFO,
    "An object of a kind that nothing here acts on",
    message="{what} has no effect: {reason}",
    fix="{hint}",
    why="The API stores and lists it, as in a cluster, and nothing on this machine follows from it.",
)
UNKNOWN_KINDS = UNKNOWN_KIND.variant("{what} have no effect: {reason}", "{hint}")
PLACEHOLDER = Code(
    "LG0030",
    _WARNING,
    "A placeholder, or a value of the wrong shape",
    message="{field}: {text} is {problem}. In production, {production}; {made} stands in for it here",
    fix="write the real value before it ships",
    why="Production refuses it. Here a value of the right shape stands in for it, so that everything else is served.",
)
PLACEHOLDER_LEFT_OUT = PLACEHOLDER.variant(
    "{field}: {text} is {problem}. In production, {production}; here it counts as not set", PLACEHOLDER.fix
)
PLACEHOLDER_KEPT = PLACEHOLDER.variant("{field}: {text} is {problem}: {production}", PLACEHOLDER.fix)
REQUIRED = Code(
    "LG0101",
    _ERROR,
    "A required field is missing",
    message="{refusal}",
    why="The API server refuses the object.",
)
UNSUPPORTED = Code(
    "LG0102",
    _ERROR,
    "A value outside the allowed ones",
    message="{refusal}",
    why="The API server refuses the object.",
)
INVALID = Code(
    "LG0103",
    _ERROR,
    "An invalid value",
    message="{refusal}",
    why="The API server refuses the object.",
)
MORE_INVALID = INVALID.variant("{count} more invalid values in this object")
FORBIDDEN = Code(
    "LG0104",
    _ERROR,
    "A field that may not be set here",
    message="{refusal}",
    why="The API server refuses the object.",
)
DUPLICATE_VALUE = Code(
    "LG0105",
    _ERROR,
    "A value that has to be unique",
    message="{refusal}",
    why="The API server refuses the object.",
)
REFUSED_BY_WEBHOOK = Code(
    "LG0110",
    _ERROR,
    "Refused by an admission webhook",
    message="{refusal} (refused by {webhook})",
    why="In a cluster, the validation of the component (Istio, cert-manager, the load balancer controller) denies it.",
)
WARNED_BY_WEBHOOK = Code(
    "LG0111",
    _WARNING,
    "Warned about by an admission webhook",
    message="{warning}",
    why="In a cluster, kubectl prints the warning and the object is stored.",
)
