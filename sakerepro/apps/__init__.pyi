from . import widgets as widgets
