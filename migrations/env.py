"""How Alembic runs here: on the connection that the store hands over, in its transaction."""

from alembic import context

from yidao.node.store.tables import metadata


def run() -> None:
    """Run the migrations that were asked for.

    Raises:
        RuntimeError: Started by the alembic command line, which has no store.
    """
    connection = context.config.attributes.get("connection")
    if connection is None:
        message = "migrations run through yidao.node.store.engine only"
        raise RuntimeError(message)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # SQLite can do it since the store begins its transactions itself.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
