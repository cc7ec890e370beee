"""Phrases people answer with, sorted by what they do to an answer; `|` parts them."""

from __future__ import annotations

from enum import StrEnum


class Mark(StrEnum):
    YES = "yes"
    NO = "no"
    FILLER = "filler"
    HEDGE = "hedge"
    BACK = "back"
    RESTART = "restart"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    DELEGATE = "delegate"
    REPLACE = "replace"
    ADD = "add"
    CHANGE = "change"
    JOIN = "join"
    CONNECT = "connect"
    CREATE = "create"
    TEST = "test"
    ACTIVATE = "activate"
    RETRY = "retry"


PHRASES: dict[Mark, str] = {
    Mark.YES: """about right|just about right|just fine|pretty good|pretty much|that does it|makes sense|
        that makes sense|as you say|as you said|
        crack on|carry on|go right ahead|fire away|full steam ahead|that'll do nicely|that will do nicely|
        nicely|mhm|mm hm|uh huh|yessir|you bet|sure why not|that's the ticket|bang on|right on|on the money|
        nailed it|you got it|you've got it|got it right|fair enough|suits me|suits me fine|that suits me|
        fine by me|fine with me|ok by me|okay by me|good by me|good with me|ok with me|okay with me|
        i'm ok with that|i'm okay with that|i'm fine with that|i'm good with that|i'm good|works for us|
        that's good|that's great|that's perfect|that's ok|that's okay|that's exactly it|that's exactly right|
        just right|just what i needed|just what i wanted|just what we needed|just what we need|exactly that|
        precisely|correct that's it|true|positive|yuppers|yas|okie dokie|okey dokey|okie|oki|righto|
        right you are|very well|very good|with pleasure|gladly|please go ahead|thumbs up|10 4|
        marvellous|superb|splendid|terrific|amazing|neat|sweet|ace|grand|nice one|top|no issues|
        no complaints|nothing to add from me|can't complain|happy to|happy to proceed|happy with that|
        happy with this|happy with it|let's roll|let's proceed|let's continue with that|move ahead|
        move forward|go forward|proceed as planned|
        yes|yess|yep|yup|yea|yeah|yeh|ya|aye|y|sure|sure thing|ok|okay|okey|k|kk|alright|all right|
        right|correct|that's right|that's correct|exactly|indeed|absolutely|definitely|certainly|
        of course|by all means|perfect|great|excellent|awesome|fantastic|wonderful|brilliant|cool|fine|
        that's fine|lgtm|approved|i approve|confirm|confirmed|i confirm|agree|agreed|i agree|go|
        go ahead|go for it|go on|proceed|continue|let's go|get going|let's get going|get started|
        let's get started|let's start|let's begin|sounds like a plan|let's do it|let's do that|
        let's do this|do it|do that|do so|please do|make it so|ship it|sounds good|sounds great|
        sounds fine|sounds right|sounds perfect|looks good|looks great|looks fine|looks right|
        looks perfect|looks ok|looks okay|look good|look great|looks correct|looking good|all good|
        good|good to go|we're good|i'm good with|that works|works for me|that'll do|that will do|
        happy with|i'm happy|i like it|love it|i love it|like it|spot on|no problem|no worries|
        nothing to change|nothing else|that's what i wanted|that's what i want|what i wanted|
        what i want|what i need|what i needed|that's it|that's the one|no changes|no more changes|
        nothing to add|no objections|as it is|keep it|leave it as it is|affirmative|roger|why not|
        i'd like that|i would like that|i'd love that|i'd love to|done|👍|✅""",
    Mark.NO: """no need|no need for that|no need to|not needed|not necessary|that's not necessary|
        don't bother|nah thanks|no thank you|no thanks|not for me|not for us|not interested|i'd say no|
        absolutely not|certainly not|by no means|under no circumstances|hell no|no chance|please don't|
        not at all|not quite|not exactly|not there yet|we don't want that|i don't want this|i don't like it|
        i don't like that|don't like it|i disagree|disagree|that won't do|that doesn't work|
        doesn't work for me|that's not right|that's incorrect|that's not correct|no good|not good|
        thumbs down|no deal|let's not|better not|rather you didn't|i'd rather you didn't|hold your horses|
        not so fast|
        no|nope|nah|n|not|no thanks|no thank you|don't|do not|doesn't|didn't|isn't|wasn't|
        aren't|never|
        nothing|stop|negative|not now|not yet|not really|not today|hold off|wrong|incorrect|won't|
        wouldn't|can't|shouldn't|decline|declined|refuse|rather not|i'd rather not|skip the test|
        no test|without a test|without testing|i don't want|i don't want to|i don't think so|neither|
        leave it|leave it alone|leave it at that|forget that|no way|not like that|not this|👎|❌|
        not what i meant|that's not what i meant|not what i asked|not what i asked for|not what i want|
        that's not it|i'd prefer not|i'd prefer not to|prefer not to|i would rather not|
        i would prefer not to""",
    Mark.HEDGE: """i reckon|i reckon so|sounds plausible|could work|might work|may work|that might work|
        that could work|i'm in two minds|in two minds|on the fence|hard to say|difficult to say|tough call|
        let me sleep on it|i'd need to think|i need to think|need to think about it|let me ask|i need to ask|
        i have to ask|not convinced|i'm not convinced|not fully convinced|more or less|so so|meh|ish|
        in theory|in principle|theoretically|ehm|er|erm|ermm|well maybe|i hope so|hope so|i hope|presumably|
        supposedly|apparently|i imagine|i imagine so|i would think so|i'd think so|should be fine i guess|
        if you say so|
        maybe|perhaps|possibly|probably|i guess|i guess so|guess so|i suppose|i suppose so|
        suppose so|
        i think|i think so|think so|i believe|i believe so|not sure|i'm not sure|unsure|dunno|
        don't know|i don't know|no idea|hmm|hm|um|uh|erm|might|might be|could be|sort of|kind of|kinda|
        sorta|wait|hold on|one sec|one moment|let me think|let me check|i'll think|i'd have to|depends|
        it depends|if|unless|until|yeah right|yes and no|as if|not bad|later maybe|almost|nearly|
        except|said|
        not really sure|i'm not really sure|not quite sure|i'm not quite sure|not so sure|not entirely sure|
        not certain|i'm not certain|not completely sure|i'm not so sure|
        would have|could have|should have|might have|must have|i can do it|i could do it|i could|
        we could|i'll do it|i'll do that|right there|nice try|good try|good to have|nice to have|
        would be good""",
    Mark.BACK: """change my previous answer|change my last answer|change my answer|revise my answer|
        undo that answer|correct my last answer|correct my answer|fix my last answer|rewind|one back|
        go one back|go back one|back a step|back one|the one before|let me go back|back to the last question|
        back to the previous question|return to the last question|i made a mistake|my mistake|
        take a step back|revisit the last question|redo the last question|redo the last step|redo that step|
        back|go back|let's go back|step back|one step back|previous|previous step|
        the previous step|
        before that|wait before that|go to the previous step|back up|take me back|
        return to the previous step|go back one step|go back a step|
        the previous question|previous question|the previous one|the question before|the step before|
        the last step|the last question""",
    Mark.RESTART: """from the top|take it from the top|let's take it from the top|clean slate|blank slate|
        back to square one|from square one|start fresh|a fresh start|begin from scratch|begin anew|
        redo everything|do it all over|throw everything away and start again|from the start|
        back to the start|back to the beginning|start from zero|from zero|
        start over|start again|start afresh|restart|from scratch|start from scratch|
        begin again|
        start from the beginning|from the beginning|reset|all over again|start all over|start new|
        let's start over|let's start again|let's restart|let's begin again|let's start from scratch|
        let's start from the beginning|start anew|wipe it|wipe everything""",
    Mark.CANCEL: """call it off|let's call it off|let's forget it|let's forget about it|let's drop it|
        let's scrap it|let's abandon it|abandon it|abandon this|i don't want this anymore|
        i don't need this anymore|we don't need this anymore|get me out of here|stop the whole thing|
        stop everything|stop it all|leave it be|no longer needed|not needed anymore|please cancel|
        pull the plug|bin it|i'm out|i quit|discard it|discard this|discard everything|kill it|
        cancel|cancel it|cancel this|cancel that|cancel everything|abort|quit|exit|never mind|
        nevermind|forget it|forget about it|forget the whole thing|drop the whole thing|drop it|
        scrap it|scrap that|stop here|stop this|i give up|end this|done with this|i'm done with this|
        done with it|done with you""",
    Mark.PAUSE: """let's pick this up tomorrow|pick this up tomorrow|pick this up later|pick it up later|
        pick it up tomorrow|let's pick this up later|pick this up next week|pick this up again|tomorrow|
        let's do this tomorrow|do this tomorrow|carry on tomorrow|carry on later|resume later|
        resume tomorrow|finish tomorrow|i'm off|off to a meeting|i have a meeting|got a meeting|in a meeting|
        need to run|have to dash|got to dash|gotta dash|gotta run|got to run|got to go|back in a bit|
        back in a minute|back in a moment|back later|i'll get back to you|get back to you|
        get back to this later|come back to this|come back to it|come back to this later|
        let's come back to this|let's come back to it|next week|after lunch|on hold|put it on hold|
        put this on hold|let's stop here for today|stop here for today|enough for today|
        that's enough for today|that's enough for now|enough for now|call it a day|let's call it a day|
        save this for later|save my progress|lunch break|
        later|pause|pause here|let's pause|take a break|not right now|another time|
        some other time|
        let's continue later|continue later|leave it for now|we can continue later|let's do it later|
        let's do this later|let's do that later|do it later|come back later|i'll come back|
        i'll come back later|i'll be back|be right back|brb|gotta go|i have to go|i've got to go|
        i must go|i need to go|i have to run|talk later|another day|some other day|leave it there|
        not today, later|in a while|i need a break|let me come back to this|save it for later|park it|
        park this|
        i'll continue tomorrow|continue tomorrow|let's continue tomorrow|we'll continue tomorrow|
        i'll finish this later|finish this later|i'll finish it later|i'll do it later""",
    Mark.RESUME: """here i am again|i'm here again|i am back|back now|ok i'm back|
        let's carry on where we left off|carry on where we left off|continue where we left off|
        continue where we stopped|let's continue where we left off|let's continue where we stopped|
        picking up where we left off|let's get back to it|back to it|what was the question|
        what was the last question|what was your question|what did you ask|remind me where we were|
        remind me what we were doing|what were we up to|
        where were we|where was i|where did we leave off|where did we stop|resume|let's resume|
        let's continue|pick up where we left off|i'm back|back again|let's pick this up|
        what were we doing|where did we get to|what were we talking about|what was i doing|
        where were we at|let's go on where we stopped""",
    Mark.DELEGATE: """up to you really|it's your decision|your decision|whatever works best|
        whatever works for you|whatever suits you|whatever's best|whatever makes sense|whatever is easier|
        whatever you prefer|whatever you recommend|whatever you reckon|you're the expert|you are the expert|
        you know better|you know better than me|i'll go with whatever|i leave that to you|
        i'll leave that to you|leave that to you|i'd leave that to you|your pick|you make the call|
        make the call|make the choice for me|just decide|just choose|just pick|no idea you choose|
        no idea you decide|go with your recommendation|go with what you think|go with the default|
        go with the standard|all the same to me|it's all the same to me|makes no difference|
        makes no difference to me|no strong feelings|no strong feelings either way|i'm not fussed|not fussed|
        i'm not bothered|not bothered|i have no preference|i've no preference|flip a coin|anything is fine|
        anything's fine|anything goes|any is fine|any will do|any of those is fine|both are fine|both fine|
        doesn't matter to me|doesn't really matter|it doesn't really matter|decide for yourself|
        as you see fit|whatever you see fit|
        you choose|you decide|you pick|your choice|your call|up to you|it's up to you|
        whatever|
        whichever|whatever you think|whatever you think is best|whatever you like|as you like|
        whatever works|anything|anything works|any|skip|skip it|skip this|skip that|default|
        the default|defaults|the defaults|use the default|use the defaults|use defaults|
        take the default|take the defaults|you know best|surprise me|don't care|i don't care|
        i don't mind|don't mind|doesn't matter|it doesn't matter|no preference|your suggestion|
        as you suggest|as suggested|as you suggested|what you suggested|what you suggest|
        whatever you suggest|whichever you think|whichever you like|you suggested|you proposed|
        you recommended|use your suggestion|use your suggestions|use your judgment|use your judgement|
        what do you suggest|what do you recommend|you tell me|best guess|dealer's choice|
        same as you said|i leave it to you|leave it to you|leave it up to you|i'll leave it to you|
        i'll leave it up to you|pick one|just pick one|choose one|choose for me|pick for me|
        decide for me|you can choose|you can decide|you can pick|i trust you|i'm easy|either|
        either one|either way|either is fine|any of them|any of those|no strong opinion|
        go with your gut|your guess|what's best|whatever is best|whatever's easiest|
        whatever is easiest|the usual|as usual|the standard|
        skip that question|skip this question|skip the question|do what you think is best|
        do whatever you like|do as you like|do as you think best|what you think is best|
        as you think best""",
    Mark.REPLACE: """after all|on reflection|come to think of it|thinking about it|better idea|
        i have a better idea|new plan|different plan|hang on|i meant|what i meant was|sorry i meant|
        i misspoke|let's go with|instead i'd like|forget about|drop that idea|never mind that|
        rather than that|in place of that|
        actually|instead|changed my mind|i've changed my mind|i changed my mind|change of plan|
        scratch that|strike that|forget|rather|on second thought|on second thoughts|switch to|ditch""",
    Mark.ADD: """also|too|as well|plus|add|adding|include|including|additionally|and also|but also""",
    Mark.CHANGE: """change|make|make it|set|remove|drop|delete|without|leave out|take out|exclude|omit|
        first|last|
        put|move|sort|order|group|rename|call|show|use|only|just|instead of|swap|replace|but|skip the|
        without the|with""",
    Mark.JOIN: "and|then|so|, ",
    Mark.FILLER: """sorry|from my side|from me|on my end|on my side|for my part|to me|about|pretty|some|got|
        guys|mate|man|dude|folks|honestly|frankly|of|this time|on this|with it|with that|with this|from here|
        i've|we've|we're|we'd|all of it|all of this|all of that|
        please|pls|thanks|thank you|thx|that|that's|this|it|it's|its|is|the|to|me|for|i|i'd|
        like|want|
        would|will|you|we|us|all|very|much|so|now|then|just|well|oh|ah|hey|hi|hello|there|here|really|
        quite|looks|look|sounds|seems|works|let's|do|be|my|your|one|report|test|summary|preview|agent|
        draft|plan|with|mate|buddy|everything|thing|way|go|ahead|can|could|by|and|am|i'm|happy|good|
        nice|lovely|super|totally|completely|as|are|those|these|ones|give|ready|today|a|mean|have|yet|
        kindly|simply|again|perfectly|dear|sir|team|folks|already|bot|everyone""",
    Mark.CONNECT: """connect|connect it|connect notion|connect now|i connected|connected|i've connected|
        it's connected|i'm connected|i've done it|i did it|i did|did it|finished|i've finished|
        all done|i'm done|i have done it|i signed in|signed in|i've signed in|i allowed it|allowed|
        i authorized it|authorized|i approved it|accepted|complete|completed|i'm through|all set|
        it's done|that's done|is connected|notion is connected|link it|sign in|sign me in|
        i've allowed it|granted|access granted""",
    Mark.CREATE: """create|create it|create the agent|build it|build that|make it now|set it up|set that up|
        create that|create this|go create it|save|save it|save that|build the agent|make the agent""",
    Mark.TEST: """test|test it|test that|a test|a preview|try|try it|try it out|try that|run the test|
        run a test|
        do the test|do a test|test run|do a test run|show me the test|give it a try|give it a go|
        give it a spin|let's try it|let's test it|let's test|let's try|show me|let's see it|let's see|
        show me a preview|preview|preview it|test it again|run it again|run it|run it now|test again|
        run the test again|dry run|do a dry run|try it now|let's run it|let's run a test|run test|
        let's have a look|start the test|do a trial run|trial run|show me what it looks like|
        let me see it|let me see|show it to me""",
    Mark.ACTIVATE: """activate|activate it|switch it on|switch on|turn it on|turn on|enable it|enable|
        go live|
        make it live|put it live|set it live|start it|activate the agent|launch it|launch|
        let's go live|switch the agent on|turn the agent on|deploy it|power it on|flip the switch""",
    Mark.RETRY: """try again|retry|try once more|once more|one more time|try that again|try it again|
        another try""",
}


def _products(verbs: str, objects: str, tails: str = "") -> str:
    """Every verb with every object, and with each of the tails: "scrap" "all of it" "please"."""
    endings = ["", *(f" {tail}" for tail in tails.split("|") if tail)]
    return "|".join(
        f"{verb} {what}{end}" for verb in verbs.split("|") for what in objects.split("|") for end in endings
    )


_ALL_OF_IT = (
    "it|this|that|it all|all this|all that|all of it|all of this|all of that|everything|the lot|the whole "
    "lot|the whole thing|"
    "this whole thing|it all away|it away|everything away|all of it away|this away|the whole idea|the idea|"
    "this idea|the plan|this one"
)
_GENERATED: dict[Mark, str] = {
    Mark.YES: _products(
        "exactly what|just what|what|precisely what|that's what|that's exactly what|this is what|this is "
        "exactly what|it's what|it's exactly what",
        "i want|we want|i need|we need|i wanted|we wanted|i needed|we needed|i asked for|we asked for|i "
        "had in mind|we had in mind|i was looking for|"
        "we were looking for|i meant|i was after|we were after|the doctor ordered",
    ),
    Mark.CANCEL: _products(
        "throw|scrap|bin|abandon|ditch|forget|forget about|drop|kill|cancel|abort|stop|end|discard|trash|"
        "throw away|throw out|call off", _ALL_OF_IT
    )
    + "|"
    + _products(
        "i don't need|we don't need|i don't want|we don't want|i no longer need|we no longer need|i no "
        "longer want",
        "it|this|that|this agent|that agent|the agent|any of it|any of this", "anymore|any more|any longer|"
        "after all|now",
    ).replace("i don't want it|", "").replace("i don't want this|", "").replace("i don't want that|", ""),
    Mark.RESTART: _products(
        "start|begin|do this|do it|try|go", "over|again|again from scratch|again from the beginning|"
        "over from scratch|all over again|anew from scratch"
    ),
    Mark.BACK: _products(
        "go|take me|let's go|jump|step|return|bring me|move|i want to go|i'd like to go", "back|back one|"
        "back a step|back one step|back to the previous question|"
        "back to the last question|back to the previous step|back to the question before|back to the last "
        "step|one step back|a step back|one question back",
    ),
    Mark.PAUSE: _products(
        "back|i'll be back|be back|i am back|i'm back|give me|need", "in ten minutes|in five minutes|"
        "in a few minutes|in an hour|in half an hour|in 10 minutes|in 5 minutes|in 30 minutes|"
        "in a bit|in a while|in a minute|in a moment|shortly|tomorrow|on monday|next week|later today|this "
        "afternoon|after the meeting",
    )
    + "|"
    + _products(
        "let's continue|let's finish|let's do|let's do this|let's do it|continue|finish|finish this|finish "
        "it|do this|do it|i'll finish|i'll finish this|i'll continue|"
        "we'll finish this|carry on|pick this up|pick it up|come back|i'll come back|i'll be back|resume|"
        "talk|speak|more",
        "later|tomorrow|next week|another day|another time|some other time|in the morning|this afternoon|"
        "tonight|on monday|later today|after lunch|in an hour|soon",
    ),
    }  # fmt: skip
"""Sayings made of parts; the table above says them first."""
for _mark, _more in _GENERATED.items():
    PHRASES[_mark] = f"{PHRASES[_mark]}|{_more}"
