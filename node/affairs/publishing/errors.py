"""Why records of programs are not taken."""

from yidao.node.affairs.errors import AffairError


class KindNotPublishable(AffairError):
    """A program may not write records of this kind (params: kind)."""

    code = "KIND_NOT_PUBLISHABLE"


class RecordsTooMany(AffairError):
    """More records in one request than are taken, or none (params: records, limit)."""

    code = "RECORDS_TOO_MANY"


class ReachInvalid(AffairError):
    """No record travels so many tiers, or a stream asks for two reaches (params: reach, limit)."""

    code = "REACH_INVALID"


class GradeInvalid(AffairError):
    """No such grade of a part (params: grade)."""

    code = "GRADE_INVALID"


class AppendEnded(AffairError):
    """The node stops; append again what was not answered."""

    code = "APPEND_ENDED"
    retryable = True
