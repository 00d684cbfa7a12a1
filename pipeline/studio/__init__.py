"""The local web page and its HTTP API: search, label, train and review in a browser (extra ``studio``)."""
