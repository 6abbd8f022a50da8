"""`python -m yidao.node` is `yidao`."""

from yidao.node.cli import main

if __name__ == "__main__":
    main()
