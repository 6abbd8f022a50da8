"""Calls about sign-offs: who may sign for a node, and what they have signed.

What writes gives the position of its record.
"""

from collections.abc import Sequence

from yidao.api.local.v1 import signoff_pb2, signoff_pb2_grpc
from yidao.node.client.calls import Calls
from yidao.node.client.signoff_values import (
    BatchPrepared,
    PolicyProposed,
    SignoffStanding,
    standing,
)
from yidao.sync.signoff import Approver


class SignoffCalls(Calls):
    """What a client asks of sign-offs."""

    @property
    def _signoff(self) -> signoff_pb2_grpc.SignoffServiceStub:
        return self._stub(signoff_pb2_grpc.SignoffServiceStub)

    def propose_policy(
        self,
        *,
        actor: str,
        approvers: Sequence[Approver],
        threshold: int,
        scope: str = "",
        reset: bool = False,
    ) -> PolicyProposed:
        """Propose who signs off the returns of a form, or of every form."""
        request = signoff_pb2.ProposePolicyRequest(
            actor=actor,
            scope=scope,
            threshold=threshold,
            approvers=[
                signoff_pb2.Approver(
                    actor=each.actor, name=each.name, key=each.key, suite=each.suite
                )
                for each in approvers
            ],
            reset=reset,
        )
        answer = self._call(self._signoff.ProposePolicy, request)
        return PolicyProposed(file=answer.file, digest=answer.digest, position=answer.position)

    def confirm_policy(self, *, actor: str, files: Sequence[bytes]) -> int:
        """Let a proposed policy come into force, with the signature files of its approvers."""
        request = signoff_pb2.ConfirmPolicyRequest(actor=actor, files=files)
        return _placed(self._call(self._signoff.ConfirmPolicy, request))

    def file_policy(self, *, actor: str, digest: bytes) -> int:
        """Believe a root policy of a child from now on."""
        request = signoff_pb2.FilePolicyRequest(actor=actor, digest=digest)
        return _placed(self._call(self._signoff.FilePolicy, request))

    def demand_signoff(self, *, actor: str, scope: str = "", demanded: bool = True) -> int:
        """Demand the signatures of children for a form, or for every form; or no longer."""
        request = signoff_pb2.SetDemandRequest(actor=actor, scope=scope, demanded=demanded)
        return _placed(self._call(self._signoff.SetDemand, request))

    def signoff(self, *, form: str = "", period: str = "", path: str = "") -> SignoffStanding:
        """Give policies, batches, what is not believed, and what waits for a signature.

        Args:
            form: Of the batches.
            period: Of the batches.
            path: Of one node alone; a node gives at most 1,000 of each.
        """
        request = signoff_pb2.ListSignoffRequest(form=form, period=period, path=path)
        return standing(self._call(self._signoff.ListSignoff, request))

    def prepare_signoff(
        self, *, actor: str, form: str, period: str = "", unit: str = "", pack: str = ""
    ) -> BatchPrepared:
        """Collect what waits for a signature into a file for the approvers."""
        request = signoff_pb2.PrepareBatchRequest(
            actor=actor, form=form, period=period, unit=unit, pack=pack
        )
        answer = self._call(self._signoff.PrepareBatch, request)
        return BatchPrepared(file=answer.file, returns=answer.returns, left=answer.left)

    def submit_signoff(self, *, actor: str, files: Sequence[bytes]) -> int:
        """Hand in the signature files of one batch; enough approvers must have signed."""
        request = signoff_pb2.SubmitBatchRequest(actor=actor, files=files)
        return _placed(self._call(self._signoff.SubmitBatch, request))

    def unsigned(self, record_ids: Sequence[bytes]) -> frozenset[bytes]:
        """Give those of at most 1,000 returns of children that wait for a signature."""
        request = signoff_pb2.UnsignedRequest(record_ids=record_ids)
        return frozenset(self._call(self._signoff.ListUnsigned, request).record_ids)


def _placed(answer: signoff_pb2.SignoffPlaced) -> int:
    return int(answer.position)
