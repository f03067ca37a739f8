# usage: zsh -f zsh_completions.zsh COMPLETION-FILE LINE...
# What zsh completes at the end of each line: "> LINE", then the words that it offers. An interactive zsh on a pseudo-terminal
# gets the lines and a tab each; its compadd tells what it offers.
zmodload zsh/zpty || exit 1
file=$1
shift
zpty child zsh -f -i

child_says() { # all up to the mark
    local text= piece
    while zpty -r child piece; do
        text+=$piece
        [[ $text != *"<$1>"* ]] || break
    done
    print -r -- "${${text%%<$1>*}//$'\r'/}"
}
zpty -w child "PROMPT= PS2= RPROMPT=; unsetopt zle_bracketed_paste prompt_cr prompt_sp; stty -echo"
zpty -w child "autoload -Uz compinit; compinit -u -D; source ${(q)file}"
zpty -w child "$(<<'ZSH'
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a offered
    builtin compadd -O offered "$@"
    (( $#offered == 0 )) || print -rl -- "+"${^offered}
    builtin compadd "$@"
}
after() { print -r -- "<""tab>"; BUFFER=; zle -I; zle kill-buffer; }
tab() { zle complete-word; after; zle send-break; }
zle -C complete-word complete-word _main_complete
zle -N tab
bindkey '^I' tab
print -r -- "<""ready>"
ZSH
)"
child_says ready >/dev/null
for line; do
    print -r -- "> $line"
    zpty -w -n child "$line"$'\t'
    child_says tab | sed -n 's/^.*+//p' | sort -u
done
zpty -d child
