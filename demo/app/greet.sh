#!/bin/sh
. /etc/greet/config
echo "$greeting from an image that NAME built ($(wc -c < /app/data) bytes of data)"
