"""The way to /language until `app.py` has run once: see `pages/workbench/front_door.py`."""

from pages.workbench import front_door

front_door.enter()
