"""Which elements an image is made of, for hooks to ask.

$DIB_PYTHON_EXEC $_LIB/element-info.py [--env] ELEMENT...
"""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from dib_service.engine.commands import element_info

if __name__ == "__main__":
    sys.exit(element_info.run("element-info", sys.argv[1:]))
