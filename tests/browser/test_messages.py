"""What goes over the wire between the app and the browser."""

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.hands import choose, shows


def test_messages_are_sent_whole(visit, server):
    """A reference to a message stops the page where the browser has dropped that message meanwhile."""
    page, frames = visit(server, "/photos"), []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    page.go("/photos")
    choose(page, "Rule", "LRP-0")  # the picture stays: a large message that was sent before
    shows(page, "lrp0")
    kinds = {ForwardMsg.FromString(frame).WhichOneof("type") for frame in frames if isinstance(frame, bytes)}
    assert "delta" in kinds and "ref_hash" not in kinds
