"""What this node answers to others, and what asks others for it."""

from yidao.node.affairs.affairs import Affairs
from yidao.node.affairs.sharing.answers import Wanted
from yidao.node.affairs.sharing.gathering import KIND as ROWS
from yidao.node.affairs.sharing.gathering import Gathering
from yidao.node.api.node_service import NodeServicer
from yidao.node.link.hub import Hub


def answer_questions(affairs: Affairs, hub: Hub, node_service: NodeServicer) -> Gathering:
    """Let the links answer for this node; give what asks other nodes for rows."""
    answers, kinds = affairs.answers, hub.queries.answering.kinds
    kinds["status"] = lambda _asked: [node_service.status().SerializeToString()]
    kinds[ROWS] = lambda asked: answers.answer(Wanted.of(asked))
    return Gathering(desk=affairs.desk, shelf=affairs.shelf, answers=answers, ask=hub.queries.pages)
