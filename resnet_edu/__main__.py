"""``python -m resnet_edu``, and the script ``resnet-edu``."""

import sys

from resnet_edu.command.main import main

if __name__ == "__main__":
    sys.exit(main())
