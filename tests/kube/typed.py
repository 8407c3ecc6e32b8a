# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Built-in types: what a decoder makes of JSON, and how a strategic merge patch treats each field.

The server decodes into structures of Go and encodes them again. So a field that it does not know is
gone, a wrong type is refused, and an empty value may not be shown: that is what decode() does here.
"""

import datetime
import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?")


class DecodeError(Exception):
    """Why the text is not of the type."""


class Unknown(list):
    """The paths of the fields that the type does not have."""


def _kind_of(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]


def _mismatch(value, path, type_name):
    return DecodeError(
        f"json: cannot unmarshal {_kind_of(value)} into Go struct field {path} of type {type_name}"
    )


class Scalar:
    """A value without parts."""

    def __init__(self, name, accepts, zero):
        self.name, self.accepts, self.zero = name, accepts, zero

    def decode(self, value, path, _unknown):
        if isinstance(value, bool) and self.accepts is not bool or not isinstance(value, self.accepts):
            raise _mismatch(value, path, self.name)
        return value


class _Integer(Scalar):
    def __init__(self, bits):
        super().__init__(f"int{bits}", int, 0)
        self.limit = 1 << (bits - 1)

    def decode(self, value, path, unknown):
        value = super().decode(value, path, unknown)
        if not -self.limit <= value < self.limit:
            raise DecodeError(
                f"json: cannot unmarshal number {value} into Go struct field {path} of type {self.name}"
            )
        return value


class _Moment(Scalar):
    """A time: without a value it is encoded as null, even where an empty value is omitted."""

    def __init__(self, form, layout, digits):
        super().__init__("string", str, None)
        self.form, self.layout, self.digits = form, layout, digits

    def decode(self, value, path, unknown):
        value = super().decode(value, path, unknown)
        try:
            if not self.form.fullmatch(value):
                raise ValueError
            moment = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
        except ValueError:
            raise DecodeError(
                f'parsing time "{value}" as "{self.layout}": cannot parse "{value}" as "2006"'
            ) from None
        moment = moment.astimezone(datetime.timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%S" + (".%f" if self.digits else "")) + "Z"


class _Quantity(Scalar):
    def __init__(self):
        super().__init__("resource.Quantity", (str, int, float), "0")

    def decode(self, value, path, unknown):
        value = str(super().decode(value, path, unknown))
        if not QUANTITY.fullmatch(value):
            raise DecodeError(
                "quantities must match the regular expression "
                "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            )
        return value


class Anything:
    """Kept as it is."""

    zero = None

    def decode(self, value, _path, _unknown):
        return value


class Map:
    """Names of the client's own, values of one type."""

    zero = {}

    def __init__(self, of):
        self.of = of

    def decode(self, value, path, unknown):
        if not isinstance(value, dict):
            raise _mismatch(value, path, "map[string]string")
        return {
            key: self.of.zero if part is None else self.of.decode(part, f"{path}.{key}", unknown)
            for key, part in sorted(value.items())
        }


class List:
    """Values of one type. Without a strategy a patch replaces the list; 'merge' merges it, structures
    by the field that is their key."""

    zero = []

    def __init__(self, of, merge=False, key=None):
        self.of, self.merge, self.key = of, merge or key is not None, key

    def decode(self, value, path, unknown):
        if not isinstance(value, list):
            raise _mismatch(value, path, "[]struct")
        return [
            self.of.decode({}, path, unknown)
            if part is None and isinstance(self.of, Struct)
            else self.of.zero
            if part is None
            else self.of.decode(part, f"{path}[{index}]", unknown)
            for index, part in enumerate(value)
        ]


class Pointer:
    """What is either absent or shown, be it empty or not."""

    zero = None

    def __init__(self, of):
        self.of = of

    def decode(self, value, path, unknown):
        return self.of.decode(value, path, unknown)


class Always:
    """Shown even when it is empty."""

    def __init__(self, of):
        self.of, self.zero = of, of.zero

    def decode(self, value, path, unknown):
        return self.of.decode(value, path, unknown)


class Struct:
    """Fields of known names."""

    zero = None

    def __init__(self, **fields):
        self.fields = fields

    def decode(self, value, path, unknown):
        if not isinstance(value, dict):
            raise _mismatch(value, path, "struct")
        unknown.extend(f"{path}.{key}".lstrip(".") for key in value if key not in self.fields)
        made = {}
        for name, of in self.fields.items():
            part = value.get(name)
            if part is not None:
                part = of.decode(part, f"{path}.{name}".lstrip("."), unknown)
            elif isinstance(of, Struct):
                part = of.decode({}, f"{path}.{name}".lstrip("."), unknown)
            else:
                part = of.zero
            if isinstance(of, (Struct, Always, _Moment)) or part not in (None, "", 0, False, [], {}):
                made[name] = part
            elif isinstance(of, Pointer) and part is not None:
                made[name] = part
        return made


def bare(of):
    """The type behind a pointer."""
    while isinstance(of, (Pointer, Always)):
        of = of.of
    return of


STRING = Scalar("string", str, "")
BOOLEAN = Scalar("bool", bool, False)
INT32 = _Integer(32)
INT64 = _Integer(64)
TIME_TYPE = _Moment(TIME, "2006-01-02T15:04:05Z07:00", 0)
MICRO_TIME_TYPE = _Moment(MICRO_TIME, "2006-01-02T15:04:05.000000Z07:00", 6)
STRINGS = List(STRING)
LABELS = Map(STRING)
QUANTITIES = Map(_Quantity())
ANYTHING = Anything()

OWNER_REFERENCE = Struct(
    apiVersion=Always(STRING),
    kind=Always(STRING),
    name=Always(STRING),
    uid=Always(STRING),
    controller=Pointer(BOOLEAN),
    blockOwnerDeletion=Pointer(BOOLEAN),
)
METADATA = Struct(
    name=STRING,
    generateName=STRING,
    namespace=STRING,
    selfLink=STRING,
    uid=STRING,
    resourceVersion=STRING,
    generation=INT64,
    creationTimestamp=TIME_TYPE,
    deletionTimestamp=Pointer(TIME_TYPE),
    deletionGracePeriodSeconds=Pointer(INT64),
    labels=LABELS,
    annotations=LABELS,
    ownerReferences=List(OWNER_REFERENCE, key="uid"),
    finalizers=List(STRING, merge=True),
    managedFields=List(ANYTHING),
)
TAINT = Struct(
    key=Always(STRING), value=STRING, effect=Always(STRING), timeAdded=Pointer(TIME_TYPE)
)
CONDITION = Struct(
    type=Always(STRING),
    status=Always(STRING),
    lastHeartbeatTime=TIME_TYPE,
    lastTransitionTime=TIME_TYPE,
    reason=STRING,
    message=STRING,
)
NODE_INFO = Struct(
    **{
        name: Always(STRING)
        for name in (
            "machineID",
            "systemUUID",
            "bootID",
            "kernelVersion",
            "osImage",
            "containerRuntimeVersion",
            "kubeletVersion",
            "kubeProxyVersion",
            "operatingSystem",
            "architecture",
        )
    }
)
NODE = Struct(
    metadata=METADATA,
    spec=Struct(
        podCIDR=STRING,
        podCIDRs=List(STRING, merge=True),
        providerID=STRING,
        unschedulable=BOOLEAN,
        taints=List(TAINT),
        configSource=Pointer(ANYTHING),
        externalID=STRING,
    ),
    status=Struct(
        capacity=QUANTITIES,
        allocatable=QUANTITIES,
        phase=STRING,
        conditions=List(CONDITION, key="type"),
        addresses=List(Struct(type=Always(STRING), address=Always(STRING)), key="type"),
        daemonEndpoints=Struct(kubeletEndpoint=Struct(Port=Always(INT32))),
        nodeInfo=NODE_INFO,
        images=List(Struct(names=STRINGS, sizeBytes=INT64)),
        volumesInUse=STRINGS,
        volumesAttached=List(Struct(name=Always(STRING), devicePath=Always(STRING))),
        config=Pointer(ANYTHING),
        runtimeHandlers=List(ANYTHING),
        features=Pointer(ANYTHING),
    ),
)
CONTAINER_STATUS = List(ANYTHING)
POD = Struct(
    metadata=METADATA,
    # Only what tests look at is typed; a container and a volume are kept as they came.
    spec=Struct(
        volumes=List(ANYTHING, key="name"),
        initContainers=List(ANYTHING, key="name"),
        containers=Always(List(ANYTHING, key="name")),
        ephemeralContainers=List(ANYTHING, key="name"),
        restartPolicy=STRING,
        terminationGracePeriodSeconds=Pointer(INT64),
        dnsPolicy=STRING,
        nodeSelector=LABELS,
        serviceAccountName=STRING,
        serviceAccount=STRING,
        nodeName=STRING,
        hostNetwork=BOOLEAN,
        hostPID=BOOLEAN,
        hostIPC=BOOLEAN,
        securityContext=Pointer(ANYTHING),
        hostname=STRING,
        subdomain=STRING,
        affinity=Pointer(ANYTHING),
        schedulerName=STRING,
        tolerations=List(ANYTHING),
        priorityClassName=STRING,
        priority=Pointer(INT32),
        enableServiceLinks=Pointer(BOOLEAN),
        preemptionPolicy=Pointer(STRING),
        overhead=QUANTITIES,
    ),
    status=Struct(
        observedGeneration=INT64,
        phase=STRING,
        conditions=List(
            Struct(
                type=Always(STRING),
                status=Always(STRING),
                lastProbeTime=TIME_TYPE,
                lastTransitionTime=TIME_TYPE,
                reason=STRING,
                message=STRING,
            ),
            key="type",
        ),
        message=STRING,
        reason=STRING,
        nominatedNodeName=STRING,
        hostIP=STRING,
        hostIPs=List(Struct(ip=STRING)),
        podIP=STRING,
        podIPs=List(Struct(ip=STRING), key="ip"),
        startTime=Pointer(TIME_TYPE),
        initContainerStatuses=CONTAINER_STATUS,
        containerStatuses=CONTAINER_STATUS,
        qosClass=STRING,
        ephemeralContainerStatuses=CONTAINER_STATUS,
    ),
)
NAMESPACE = Struct(
    metadata=METADATA,
    spec=Struct(finalizers=STRINGS),
    status=Struct(
        phase=STRING,
        conditions=List(
            Struct(
                type=Always(STRING),
                status=Always(STRING),
                lastTransitionTime=TIME_TYPE,
                reason=STRING,
                message=STRING,
            ),
            key="type",
        ),
    ),
)
LEASE = Struct(
    metadata=METADATA,
    spec=Struct(
        holderIdentity=Pointer(STRING),
        leaseDurationSeconds=Pointer(INT32),
        acquireTime=Pointer(MICRO_TIME_TYPE),
        renewTime=Pointer(MICRO_TIME_TYPE),
        leaseTransitions=Pointer(INT32),
    ),
)
REFERENCE = Struct(
    kind=STRING,
    namespace=STRING,
    name=STRING,
    uid=STRING,
    apiVersion=STRING,
    resourceVersion=STRING,
    fieldPath=STRING,
)
SOURCE = Struct(component=STRING, host=STRING)
EVENT = Struct(
    metadata=METADATA,
    involvedObject=REFERENCE,
    reason=STRING,
    message=STRING,
    source=SOURCE,
    firstTimestamp=TIME_TYPE,
    lastTimestamp=TIME_TYPE,
    count=INT32,
    type=STRING,
    eventTime=MICRO_TIME_TYPE,
    series=Pointer(Struct(count=INT32, lastObservedTime=MICRO_TIME_TYPE)),
    action=STRING,
    related=Pointer(REFERENCE),
    reportingComponent=Always(STRING),
    reportingInstance=Always(STRING),
)
NEW_EVENT = Struct(
    metadata=METADATA,
    eventTime=MICRO_TIME_TYPE,
    series=Pointer(Struct(count=Always(INT32), lastObservedTime=MICRO_TIME_TYPE)),
    reportingController=STRING,
    reportingInstance=STRING,
    action=STRING,
    reason=STRING,
    regarding=REFERENCE,
    related=Pointer(REFERENCE),
    note=STRING,
    type=STRING,
    deprecatedSource=SOURCE,
    deprecatedFirstTimestamp=TIME_TYPE,
    deprecatedLastTimestamp=TIME_TYPE,
    deprecatedCount=INT32,
)
POLICY_RULE = Struct(
    verbs=Always(STRINGS),
    apiGroups=STRINGS,
    resources=STRINGS,
    resourceNames=STRINGS,
    nonResourceURLs=STRINGS,
)
ROLE = Struct(metadata=METADATA, rules=Always(List(POLICY_RULE)))
BINDING = Struct(
    metadata=METADATA,
    subjects=List(
        Struct(kind=Always(STRING), apiGroup=STRING, name=Always(STRING), namespace=STRING)
    ),
    roleRef=Struct(apiGroup=Always(STRING), kind=Always(STRING), name=Always(STRING)),
)
SERVICE_ACCOUNT = Struct(
    metadata=METADATA,
    secrets=List(REFERENCE, key="name"),
    imagePullSecrets=List(ANYTHING, key="name"),
    automountServiceAccountToken=Pointer(BOOLEAN),
)
ENDPOINT_SLICE = Struct(
    metadata=METADATA,
    addressType=Always(STRING),
    endpoints=Always(
        List(
            Struct(
                addresses=Always(STRINGS),
                conditions=ANYTHING,
                hostname=Pointer(STRING),
                nodeName=Pointer(STRING),
                zone=Pointer(STRING),
                targetRef=Pointer(REFERENCE),
            )
        )
    ),
    ports=Always(
        List(
            Struct(
                name=Pointer(STRING),
                port=Pointer(INT32),
                protocol=Pointer(STRING),
                appProtocol=Pointer(STRING),
            )
        )
    ),
)
# The schema is looked at by definitions.py.
DEFINITION = Struct(metadata=METADATA, spec=ANYTHING, status=ANYTHING)
